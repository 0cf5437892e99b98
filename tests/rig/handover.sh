#!/bin/sh
# Runs as root in a guest of tests/rig/qemu.py: daemons end, by kill -9 and by
# restart, while readers and pollers wait for their device. rig_rounds: how many, of each kind and
# carrier.
limit=$((30 + 5 * rig_rounds))
. "${0%/*}/promises.sh"
. "${0%/*}/one_key.sh"

was_resumed_each_time() {
	grep "published again" "/run/$1.log" && return 1
	[ "$(grep -c "resumed by $1" "/run/$1.log")" -eq $((2 * rig_rounds)) ]
}

# outlives CARRIER DEVICE
outlives() {
	config "$1" "$2" "$1"
	for how in kill restart; do
		start_sim "$1-$how" 2000
		start_managed "$1" "$2"
		here "$1.all_outlive_each_$how" outlive "$2" "$1-$how" $how
		end $sim KILL
		end $daemon TERM
	done
	promise "$1.was_resumed_each_time" was_resumed_each_time "$1"
	said "/run/$1.log"
}

modprobe -a fuse cuse
mkdir /run/fuse
uname -r
outlives cuse $device
outlives fuse /run/fuse/ekey-random
exit 0
