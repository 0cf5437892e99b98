#!/bin/sh
# The part of device.py that runs in a guest: ours and the null server, each with a CUSE device. One line
# "SERVER SIZE {what reader says}" for each round.
. "${0%/*}/promises.sh"
. "${0%/*}/one_key.sh"
bench=$build/bench

reads() { # SERVER SIZE COUNT
	echo "$1 $2 $(timeout $limit "$bench/reader" "/dev/bench-$1" "$2" "$3")"
}

full() { "$build/ekeyctl" --socket /run/ours.control status | grep -q '^ *paused *yes'; }

# On one processor: to wake another one takes an emulator as long as this machine is busy.
taskset -p -c 0 $$ >/run/taskset
modprobe cuse
config ours /dev/bench-ours cuse
sed -i 's/^size = .*/size = 2MiB/' /run/ours.conf
start_sim bench
start_daemon ours /dev/bench-ours
"$bench/null_server" cuse:bench-null &
null=$!
until_true full && until_true published /dev/bench-null || exit 1
# What all rounds read is in the pool: nothing is decoded meanwhile.
end $sim
for round in 1 2 3 4 5 6 7; do
	reads ours 16 2000
	reads null 16 2000
done
for round in 1 2 3; do
	reads ours 65536 6
	reads null 65536 6
done
end $daemon
end $null
exit 0
