#!/bin/busybox sh
# The first program of a guest of Xen, which has busybox, our programs in /rig and nothing else; see
# xen.sh. Tries the promises there and powers off.
#   rig_seed: of the simulated key in dom0; rig_bytes: to ask for; rig_span: of the key's stream
#   rig_way: how they come here, by the channel alone or by a daemon of ours; seed: one in xenstore
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

# Hundredths of a second that it takes only to start the agent, on a machine as busy as this one.
started_in() {
	began=$(hundredths)
	"$build/ekey-feed" --version
	echo $(($(hundredths) - began))
}

# entropy_avail is 256 from then on. Two seconds are some ten times what the start takes.
agent_makes_the_generator_ready_within_2_s() {
	start=$(started_in | tail -n 1)
	had=$(cat $random/entropy_avail)
	began=$(hundredths)
	timeout 60 "$build/ekey-feed" --from xen --once || return 1
	took=$(($(hundredths) - began))
	has=$(cat $random/entropy_avail)
	echo "had $had bits, has $has, after $took hundredths of a second; $start to start it"
	dmesg | grep random:
	[ "$had" -lt 256 ] && [ "$has" -eq 256 ] && [ "$took" -lt $((start > 20 ? start * 10 : 200)) ]
}

# Both guests ask at the same time, so that they have to share: dom0 says when.
wait_for_the_start() {
	echo "guest: ready"
	until_true "$build/ekey-feed" --xenstore-seed
}

# Of the host's daemon, over the channel; or of one here that has it as its source.
bytes_are_the_streams() {
	timeout 240 "$build/tests/rig/xen_probe" "$server" "$rig_seed" "$rig_bytes" "$rig_span" >/run/probe
	result=$?
	cat /run/probe
	return $result
}

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

seed_makes_the_generator_ready() {
	had=$(cat $random/entropy_avail)
	timeout 60 "$build/ekey-feed" --xenstore-seed || return 1
	has=$(cat $random/entropy_avail)
	echo "had $had bits, has $has"
	[ "$had" -lt 256 ] && [ "$has" -eq 256 ]
}

seed_is_there_once() {
	timeout 60 "$build/ekey-feed" --xenstore-seed
	[ $? -eq 6 ]
}

agent_is_served() { timeout 60 "$build/ekey-feed" --from xen --once; }

the_end() {
	echo "guest: done"
	exec poweroff -f
}

echo "guest: $(cat /sys/hypervisor/guest_type), up $(cut -d' ' -f1 /proc/uptime) s"
if [ "$rig_way" = seed ]; then
	promise seed_makes_the_generator_ready seed_makes_the_generator_ready
	promise seed_is_there_once seed_is_there_once
	promise agent_is_served agent_is_served
	the_end
fi
promise agent_makes_the_generator_ready_within_2_s agent_makes_the_generator_ready_within_2_s
server=/dev/hvc1
if [ "$rig_way" = daemon ]; then
	promise daemon_here_has_the_host_as_its_source daemon_here_has_the_host_as_its_source
	server=/run/egd
fi
wait_for_the_start
promise bytes_are_the_streams bytes_are_the_streams
the_end
