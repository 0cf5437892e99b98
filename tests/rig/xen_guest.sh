#!/bin/busybox sh
# The first program of a guest of Xen, which has busybox, our programs in /rig and nothing else; see
# xen.sh. Tries the promises there and powers off.
#   rig_seed: of the simulated keys in dom0; rig_bytes: to ask for; rig_span: of the keys' stream
#   rig_way: what it is for, the last word of this file's functions
/bin/busybox mkdir -p /proc /sys /dev /run /usr/bin /usr/sbin /sbin
/bin/busybox --install -s
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
export rig_build=/rig
. /rig/promises.sh
random=/proc/sys/kernel/random

hundredths() { cut -d' ' -f1 /proc/uptime | tr -d .; }
avail() { cat $random/entropy_avail; }
is_ready() { [ "$(avail)" -eq 256 ]; }

# Hundredths of a second that it takes only to start the agent, on a machine as busy as this one.
started_in() {
	began=$(hundredths)
	"$build/ekey-feed" --version >/dev/null
	echo $(($(hundredths) - began))
}

# entropy_avail is 256 from then on. Two seconds are some ten times what the start takes, and where
# that is slower, emulated beside others, it is the measure.
agent_makes_the_generator_ready_within_2_s() {
	start=$(started_in)
	had=$(avail)
	began=$(hundredths)
	timeout $((60 * PACE)) "$build/ekey-feed" --from xen --once || return 1
	took=$(($(hundredths) - began))
	has=$(avail)
	echo "had $had bits, has $has, after $took hundredths of a second; $start to start it"
	dmesg | grep random:
	[ "$had" -lt 256 ] && [ "$has" -eq 256 ] && [ "$took" -lt $((start > 20 ? start * 10 : 200)) ]
}

# By a line on the console: a guest that asks whether it is time takes it from the others.
until_told() { read -r _ </dev/console; }

# probe BYTES SOURCE...: begins at the end of its input; dom0 reads on the console how far it is.
probe() {
	"$build/tests/rig/xen_probe" "$rig_seed" "$rig_span" "$@" >/run/probe 2>/dev/console
	result=$?
	cat /run/probe
	return $result
}

# Of the host's daemon, over the channel. Dom0 says when, for all together, so that they have to share.
bytes_are_the_streams() {
	until_told | probe "$rig_bytes" xen
}

bytes_of_the_daemon_here_are_the_streams() { probe 8160 /run/egd </dev/null; }

daemon_here_has_the_host_as_its_source() {
	cat >/run/guest.conf <<-END
		[daemon]
		control = /run/guest.control
		keyring = /run/none
		[pool]
		size = 16KiB
		[source host]
		type = egd
		address = xen
		[listen guest]
		address = unix:/run/egd
	END
	"$build/ekey-randomd" -c /run/guest.conf >/run/guest.log 2>&1 &
	until_true grep -q 'source host: healthy' /run/guest.log
	result=$?
	cat /run/guest.log
	return $result
}

# ---- the lives of one guest: dom0 leaves it a seed in the first ----
seed_makes_the_generator_ready() {
	echo "had $1 bits, has $2"
	[ "$1" -lt 256 ] && [ "$2" -eq 256 ]
}

seed_is_there_once() {
	timeout $((60 * PACE)) "$build/ekey-feed" --xenstore-seed
	[ $? -eq 6 ]
}

agent_is_served() { timeout $((60 * PACE)) "$build/ekey-feed" --from xen --once; }

bytes_are_the_streams_over_restarts_and_kills() {
	{ until_told && kill -TERM "$(pidof xen_probe)"; } &
	probe "$rig_span" xen </dev/null
}

nothing_is_asked_again() {
	grep 'asked again' /run/probe
	grep -q 'asked again 0 times' /run/probe
}

# By an agent that stays. Dom0 leaves it when it is told so.
seed_on_order_is_fed() {
	"$build/ekey-feed" --from xen >/run/feed.log 2>&1 &
	until_true grep -q 'it is ready' /run/feed.log && echo "guest: waits" >/dev/console &&
		until_true grep "the host's seed of 512 bytes" /run/feed.log
	result=$?
	kill -TERM $!
	cat /run/feed.log
	return $result
}

# ---- a virtio-rng is what an HVM guest has, without a program of ours ----
hwrng=/sys/class/misc/hw_random
per_rng=4080 # bytes

virtio_rng_makes_the_generator_ready() {
	had=$(avail)
	while read -r module; do
		insmod "$module"
	done </rig/modules
	until_true is_ready
	echo "had $had bits, has $(avail)"
	dmesg | grep random:
	[ "$had" -lt 256 ] && is_ready
}

rng_is_there() { grep -q "virtio_rng.$1" $hwrng/rng_available; }

# rng_gives_bytes NUMBER: the kernel draws from it as well.
rng_gives_bytes() {
	until_true rng_is_there "$1"
	echo "virtio_rng.$1" >$hwrng/rng_current
	cat $hwrng/rng_current
	[ "$(cat $hwrng/rng_current)" = "virtio_rng.$1" ] &&
		count $per_rng "head -c $per_rng /dev/hwrng | tee /run/rng.$1"
}

bytes_of_all_are_the_streams() { probe $per_rng /run/rng.[0-3] xen </dev/null; }

# ---- the ways ----
try() { promise "$1" "$@"; }

channel() {
	try agent_makes_the_generator_ready_within_2_s
	try bytes_are_the_streams
}

daemon() {
	channel
	try daemon_here_has_the_host_as_its_source
	try bytes_of_the_daemon_here_are_the_streams
}

lives() {
	had=$(avail)
	timeout $((60 * PACE)) "$build/ekey-feed" --xenstore-seed
	if [ $? -eq 6 ]; then
		promise agent_is_served_after_a_reboot agent_is_served
		return
	fi
	promise seed_makes_the_generator_ready seed_makes_the_generator_ready "$had" "$(avail)"
	try seed_is_there_once
	try agent_is_served
	try bytes_are_the_streams_over_restarts_and_kills
	try nothing_is_asked_again
	reboot -f
}

hardware() {
	try virtio_rng_makes_the_generator_ready
	promise rng_egd_gives_bytes rng_gives_bytes 0
	promise rng_random_gives_bytes rng_gives_bytes 1
	echo "guest: more"
	promise rng_egd_that_is_added_gives_bytes rng_gives_bytes 2
	promise rng_random_that_is_added_gives_bytes rng_gives_bytes 3
	try agent_is_served
	try seed_on_order_is_fed
	try bytes_of_all_are_the_streams
}

echo "guest: $(cat /sys/hypervisor/guest_type), up $(cut -d' ' -f1 /proc/uptime) s"
"$rig_way"
echo "guest: done"
exec poweroff -f
