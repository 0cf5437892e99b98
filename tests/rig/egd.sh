#!/bin/sh
# Runs as root in a guest of tests/rig/qemu.py: EGD over what a hypervisor has. Outside, beside.py
# serves a key for each of three of its devices: two virtio-rng by QEMU's rng-egd, the second with a
# limit, and a port of virtio-serial. Inside, a daemon serves vsock to another, by its loopback.
# /rig/streams/SEED: what each key sends.
. "${0%/*}/promises.sh"
. "${0%/*}/keys.sh"
hwrng=/sys/class/misc/hw_random

# use_rng N: the device of that number; the kernel itself draws from it as well.
use_rng() {
	echo "virtio_rng.$1" >$hwrng/rng_current
	[ "$(cat $hwrng/rng_current)" = "virtio_rng.$1" ]
}

# lies_in SEED FILE: all of it is there in one piece, as near the start as the kernel's own share.
lies_in() {
	at=0
	until cmp -s -n "$(wc -c <"$2")" -i "$at:0" "/rig/streams/$1" "$2"; do
		[ $((at += 32)) -lt 8192 ] || { echo "not $1's bytes"; return 1; }
	done
	echo "from byte $at"
}

hwrng_is_the_stream() {
	use_rng 0 && timeout $limit head -c 8192 /dev/hwrng >got && lies_in rng got
}

hwrng_never_gives_a_byte_twice() { "$tools/readers" many /dev/hwrng rng 100000 4 $SPARE; }

# 32 bytes in half a second: what the kernel has in hand comes at once.
limited_hwrng_is_slow_and_exact() {
	use_rng 1 || return 1
	began=$(now)
	timeout $limit head -c 320 /dev/hwrng >got || return 1
	took=$(($(now) - began))
	echo "320 bytes in $took hundredths of a second"
	lies_in limited got && [ $took -ge 300 ]
}

# write_config NAME SECTION: a daemon without a key, its device as keys.sh has it.
write_config() {
	{
		printf '[daemon]\nkeyring = /run/keyring\ncontrol = /run/%s.control\n' "$1"
		printf '[pool]\nsize = 16KiB\n%b\n' "$2"
	} >"/run/$1.conf"
}
asks() { printf '[source up]\\ntype = egd\\naddress = %s\\n[device random]\\npath = %s\\nvia = cuse' "$1" $device; }

# try_device NAME SEED ADDRESS
try_device() {
	write_config "$1" "$(asks "$3")"
	start_daemon "$1" $device
	promise "$1_is_an_upstream" timeout $limit "$tools/readers" one $device "$2" 65536
	"$build/ekeyctl" --socket "/run/$1.control" status
	end $daemon TERM
	until_true withdrawn $device
	said "/run/$1.log"
}

start_vsock_server() {
	"$build/ekey-sim" --listen unix:/run/key --seed vsock --keyring /run/vsock.ring --quiet &
	until_true test -s /run/vsock.ring
	write_config server "[source key]\ntype = ekey\naddress = unix:/run/key\n[listen guests]\naddress = vsock:8888"
	sed -i 's/^keyring.*/keyring = \/run\/vsock.ring/' /run/server.conf
	"$build/ekey-randomd" -c /run/server.conf >/run/server.log 2>&1 &
	until_true grep -q vsock:8888 /run/server.log
}

: >/run/keyring
chmod 600 /run/keyring
modprobe -a virtio_rng virtio_console vsock_loopback cuse
cat $hwrng/rng_available
promise hwrng_is_the_stream hwrng_is_the_stream
promise hwrng_never_gives_a_byte_twice hwrng_never_gives_a_byte_twice
promise limited_hwrng_is_slow_and_exact limited_hwrng_is_slow_and_exact
try_device serial serial tty:/dev/vport3p1
start_vsock_server
try_device vsock vsock vsock:1:8888
said /run/server.log
exit 0
