#!/bin/sh
# Runs as root in a guest of tests/rig/qemu.py: EGD over what a hypervisor has. Outside, beside.py
# serves a key for each of three of its devices: two virtio-rng by QEMU's rng-egd, the second with a
# limit, and a console of virtio. Inside, a daemon serves vsock to another and to ekey-feed, by its loopback.
# /rig/stream: what the first one's sends.
. "${0%/*}/promises.sh"
. "${0%/*}/keys.sh"
hwrng=/sys/class/misc/hw_random

# use_rng N: the device of that number; the kernel itself draws from it as well.
use_rng() {
	echo "virtio_rng.$1" >$hwrng/rng_current
	[ "$(cat $hwrng/rng_current)" = "virtio_rng.$1" ]
}

# In one piece. What came before and what the kernel itself draws, once a minute, is missing; should
# that be in the middle, the next piece is whole.
hwrng_is_the_stream() {
	use_rng 0 && { one_piece 4096 || one_piece 4096; }
}

one_piece() {
	timeout $limit head -c "$1" /dev/hwrng >got
	at=0
	until cmp -s -n "$1" -i "$at:0" /rig/stream got; do
		at=$((at + 32))
		[ $at -lt $((8 * $1)) ] || { echo "$(wc -c <got) bytes, not the key's"; return 1; }
	done
	echo "from byte $at"
}

hwrng_never_gives_a_byte_twice() { "$tools/readers" many /dev/hwrng rng 40000 4 $SPARE; }

# 32 bytes in half a second: what the kernel has in hand comes at once.
# It keeps what is left of the 64 that it asks a driver for, and gives the end of those first: bytes
# come in pieces, and the first may be of the former device.
limited_hwrng_is_exact_and_takes_its_time() {
	use_rng 1 && { limited_gives 192 || limited_gives 192; }
}

limited_gives() {
	began=$(now)
	timeout $limit head -c "$1" /dev/hwrng >got
	took=$(($(now) - began))
	echo "$1 bytes in $took hundredths of a second"
	"$tools/readers" recorded limited 32768 got && [ $took -ge 150 ]
}

# config_of NAME SECTION: a daemon that has the keyring NAME.ring.
config_of() {
	{
		printf '[daemon]\nkeyring = /run/%s.ring\ncontrol = /run/%s.control\n' "$1" "$1"
		printf '[pool]\nsize = 16KiB\n'
		printf '%s\n' "$2"
	} >"/run/$1.conf"
}

# try_upstream NAME ADDRESS: it gives what the key with this seed sends.
try_upstream() {
	: >"/run/$1.ring"
	config_of "$1" "[source up]
type = egd
address = $2
[device random]
path = $device
via = cuse"
	start_daemon "$1" $device
	promise "$1_is_an_upstream" timeout $limit "$tools/readers" one $device "$1" 65536
	end $daemon TERM
	until_true withdrawn $device
	said "/run/$1.log"
}

start_server() {
	"$build/ekey-sim" --listen unix:/run/key --seed vsock --rate 0 --keyring /run/server.ring --quiet &
	until_true test -s /run/server.ring
	config_of server "[source key]
type = ekey
address = unix:/run/key
[listen guests]
address = vsock:8888"
	"$build/ekey-randomd" -c /run/server.conf >/run/server.log 2>&1 &
	until_true grep -q vsock:8888 /run/server.log
}

# From the same server, over its loopback too: the guest's agent, which credits what a host gives it.
feed_takes_from_vsock() {
	timeout $limit "$build/ekey-feed" --once --from vsock:1:8888 --bytes 64 >feed.log 2>&1 || { cat feed.log; return 1; }
	cat feed.log
	grep -q 'with 64 bytes and a credit of 448 bits' feed.log
}

umask 077
modprobe -a virtio_rng virtio_console vsock_loopback cuse
promise hwrng_is_the_stream hwrng_is_the_stream
promise hwrng_never_gives_a_byte_twice hwrng_never_gives_a_byte_twice
promise limited_hwrng_is_exact_and_takes_its_time limited_hwrng_is_exact_and_takes_its_time
try_upstream console tty:/dev/hvc0
start_server
try_upstream vsock vsock:1:8888
promise feed_takes_from_vsock feed_takes_from_vsock
said /run/server.log
exit 0
