#!/bin/sh
# Runs as root in a guest of tests/rig/qemu.py: the real programs, and a real CUSE device under
# Debian's readers; the same device by FUSE.
# rig_blocks: blocks of 16 bytes that 64 readers take at once.
. "${0%/*}/promises.sh"
. "${0%/*}/one_key.sh"

# ---- a device that flows ----
is_character_device() { [ -c $device ]; }
mode_is_from_config() { [ "$(stat -c %a $device)" = 440 ]; }
stream_in_order() { timeout $limit "$tools/readers" one $device one $((2 << 20)); }

never_twice() {
	timeout $limit "$tools/readers" many $device crowd $((rig_blocks * 16)) 64
}

# in = delivered + lost + held, to the byte.
pool_balances() {
	"$build/ekeyctl" --socket /run/cuse.control status | awk '
		$1 == "pool" { pool = 1 }
		NF == 0 { pool = 0 }
		pool { print; n[$1] = $2 }
		END { exit !n["in"] || n["in"] != n["delivered"] + n["lost"] + n["held"] }'
}

rngtest_passes() {
	# One good block in about 1,200 fails.
	timeout $limit rngtest -c 200 <$device >/run/rngtest 2>&1
	good=$(sed -n 's/.*successes: //p' /run/rngtest)
	[ "${good:-0}" -ge 195 ] || { cat /run/rngtest; return 1; }
}

dieharder_passes() {
	timeout $limit dieharder -g 201 -f $device -d 100 -t 10000 -p 20 >/run/dieharder 2>&1
	grep -q 'PASSED\|WEAK' /run/dieharder || { cat /run/dieharder; return 1; }
}

python_reads() {
	timeout $limit python3 -c "
import os
fd = os.open('$device', os.O_RDONLY)
assert len(os.read(fd, 200)) == 200
assert len(open('$device', 'rb').read(5000)) == 5000"
}

# ---- those that must not start ----
# refused NAME DEVICE: the daemon says why, with the path, and exits with an error.
refused() {
	config "$1" "$2" cuse
	timeout $limit "$build/ekey-randomd" -c "/run/$1.conf" >/run/refused 2>&1
	status=$?
	cat /run/refused
	[ $status -ne 0 ] && [ $status -ne 124 ] && grep -q "$2" /run/refused
}

second_instance_is_refused() {
	refused second $device && count 64 head -c 64 $device
}

name_of_another_device_is_refused() { refused clash /dev/null && : </dev/null; }

name_of_a_file_is_refused() {
	echo precious >/dev/plain
	refused clash /dev/plain && [ "$(cat /dev/plain)" = precious ]
}

# ---- one daemon ends, another one resumes ----
row() { "$build/ekeyctl" --socket /run/cuse.control status | awk -v key="$1" '$1 == key { print $2; exit }'; }
another_serves() { now=$(row pid) && [ "${now:-$1}" -ne "$1" ]; }

waiters() { [ "$(row waiters)" -eq "$1" ]; }
poll_and_read() {
	timeout $limit python3 -c "
import os, select
fd = os.open('$device', os.O_RDONLY | os.O_NONBLOCK)
p = select.poll()
p.register(fd, select.POLLIN)
assert p.poll() and len(os.read(fd, 16)) == 16"
}
who_waits_is_served_by_a_later_daemon() {
	node=$(stat -c %t:%T:%i $device)
	poll_and_read &
	poller=$!
	timeout $limit head -c 16 $device >/run/head &
	reader=$!
	for how in kill_daemon restart_daemon kill_daemon; do
		until_true waiters 2 || return 1
		before=$(row pid)
		"$how"
		until_true another_serves "$before" || return 1
	done
	until_true waiters 2 && start_sim later && kill_daemon && wait $poller && wait $reader &&
		[ "$(stat -c %s /run/head)" -eq 16 ]
}
node_stays() { [ "$(stat -c %t:%T:%i $device)" = "$node" ]; }

# The program is replaced by one of another table's version: nobody waits for ever.
another_table_is_published_anew() {
	mkdir /run/programs && cp "$build/ekey-randomd" "$build/ekeyctl" "$build/ekey-sim" /run/programs
	other=$build/tests/other/ekey-randomd-table build=/run/programs
	start_managed cuse $device
	head -c 16 $device >/run/head 2>&1 &
	reader=$!
	until_true waiters 1 && cp "$other" $build/new && mv $build/new $build/ekey-randomd || return 1
	before=$(row pid)
	kill_daemon && until_true another_serves "$before" && reader_ends_with_an_error &&
		grep "published again.*another version wrote it" /run/cuse.log &&
		start_sim other && kill_daemon && count 16 head -c 16 $device &&
		tail -n 5 /run/cuse.log | grep "resumed by cuse"
}

# ---- ends ----
# Leaves a reader in $reader that waits for a key that is not there.
block_reader() {
	od -An -N 32 $device >/run/od 2>&1 &
	reader=$!
	until_true grep -q '^State:	[SD]' "/proc/$reader/status"
	sleep 0.3
}

# Sees both ends: nothing of a wait is left when the daemon goes.
reader_ends_with_an_error() { ! wait "$reader"; }

killed_daemon_leaves_no_device() {
	end "$daemon" KILL
	reader_ends_with_an_error && until_true withdrawn $device && [ ! -e $device ]
}

serves_again() { count 64 head -c 64 $device; }

stops_with_a_reader_blocked() {
	began=$(ticks)
	end "$daemon" TERM || { echo "exit $?"; return 1; }
	took=$(($(ticks) - began))
	[ $took -le 40 ] || { echo "took $took ticks, of two seconds"; return 1; }
	reader_ends_with_an_error && [ ! -e $device ]
}

modprobe -a fuse cuse
uname -r
config cuse $device cuse
start_sim one
start_daemon cuse $device
promise is_character_device is_character_device
promise mode_is_from_config mode_is_from_config
promise stream_in_order stream_in_order
promise dd count 16384 "dd if=$device bs=256 count=64 status=none"
promise dd_fullblock count 262144 "dd if=$device bs=64k count=4 iflag=fullblock status=none"
promise head count 100000 "head -c 100000 $device"
promise cat count 100000 "cat $device | head -c 100000"
promise openssl_rand count 33 "openssl rand -rand $device -hex 16"
promise rngtest_passes rngtest_passes
promise dieharder_passes dieharder_passes
promise python_reads python_reads
promise second_instance_is_refused second_instance_is_refused
promise name_of_another_device_is_refused name_of_another_device_is_refused
promise name_of_a_file_is_refused name_of_a_file_is_refused
promises cuse "$tools/probe" $device $sim
end $sim KILL
end $daemon TERM

start_sim crowd
start_daemon cuse $device
promise never_twice never_twice
promise pool_balances pool_balances
end $sim KILL
end $daemon TERM

start_managed cuse $device
here who_waits_is_served_by_a_later_daemon
promise node_stays node_stays
end $sim KILL
end $daemon TERM

ours=$build
here another_table_is_published_anew
build=$ours
end $sim KILL
end $daemon TERM

start_daemon cuse $device
block_reader
here killed_daemon_leaves_no_device
start_sim again
start_daemon cuse $device
promise serves_again serves_again
end $sim KILL
end $daemon TERM
start_daemon cuse $device
block_reader
start_clock
here stops_with_a_reader_blocked
kill $clock

mkdir /run/fuse
start_sim fuse
config fuse /run/fuse/ekey-random fuse
start_daemon fuse /run/fuse/ekey-random
promises fuse "$tools/probe" -f /run/fuse/ekey-random $sim
end $sim KILL
end $daemon TERM
said /run/cuse.log
said /run/fuse.log
exit 0
