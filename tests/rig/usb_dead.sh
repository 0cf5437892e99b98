#!/bin/sh
# Runs as root in a guest of tests/rig/qemu.py: two keys, and the firmware of the second dies, so that
# it answers no control request either. Readers of the first are not to wait for it.
. "${0%/*}/promises.sh"
. "${0%/*}/keys.sh"
second=${serial}1

# The kernel waits five seconds for an answer of the dead key; nothing else takes nearly so long.
LONG=50 # ticks, of less than four seconds

# Reads until there is /run/stop; never has nothing come for long.
gaps() {
	last=$(ticks)
	longest=0
	until [ -e /run/stop ]; do
		timeout $limit head -c 64 $device >/dev/null || return 1
		at=$(ticks)
		[ $((at - last)) -le $longest ] || longest=$((at - last))
		last=$at
	done
	echo "nothing came for $longest ticks"
	[ $longest -lt $LONG ]
}

start_gaps() {
	timeout $limit head -c 64 $device >/dev/null
	gaps >/run/gaps 2>&1 &
	reader=$!
}

stop_gaps() {
	: >/run/stop
	wait $reader
	status=$?
	cat /run/gaps
	return $status
}

# Nobody takes packets from a key while the pool is full.
died() {
	timeout 1 cat $device >/dev/null
	[ "$(counted $sim 1 usb_deaths)" = 1 ]
}
was_reset() { grep -q "usb:$second does not answer: resetting it" usb.log; }

# The session's commands have come to nothing, one after the other, and it was told.
commands_time_out() { until_true was_reset; }

# Whoever tries to reset it for the daemon is left behind, waiting in the kernel. That the reader of the
# other key waits no longer than a moment is seen below.
kill_while_the_kernel_tries_is_followed_by_another() {
	before=$(daemon_now)
	kill_daemon && until_true another "$before" && until_true "$build/ekeyctl" --socket $control status >/dev/null
}
another() { [ "$(daemon_now)" != "$1" ]; }

# The kernel tries to reset it, with requests that time out after five seconds each.
reset_in_vain_stops_no_other_key() {
	sleep 12
	stop_gaps
}

# libusb would ask it for its configuration, for a second, whenever it is opened: too short to be
# told from a busy machine by the time, but not by where the daemon is seen to wait.
look_where_it_waits() {
	until [ -e /run/stop ]; do
		read -r where <"/proc/$(daemon_now)/wchan"
		echo "$where"
		sleep 0.02
	done | sort | uniq -c
}

opened_in_vain_stops_no_other_key() {
	until_true died || return 1
	end $daemon KILL
	until_true withdrawn $device
	rm -f /run/stop
	run_managed usb
	until_true test -s $pidfile
	look_where_it_waits >/run/waits &
	looker=$!
	until_true published $device && start_gaps
	until_true grep -q "usb:$second: its firmware hangs" /run/usb.log && stop_gaps || return 1
	wait $looker
	cat /run/waits
	[ -s /run/waits ] && ! grep -q usb /run/waits
}

# Nor is the daemon's end to wait, with its readers.
stops_while_the_kernel_tries() {
	began=$(ticks)
	[ -d "$folder" ] && end $daemon TERM || return 1
	took=$(($(ticks) - began))
	echo "took $took ticks"
	[ $took -lt $LONG ] && grep -qx stopped usb.log && ! grep "event loop hangs" usb.log
}

start_usb
start_clock
write_keyring dead 0 1
config usb usb
start_daemon usb $device
start_key 0 dead --rate 400
alive=$sim
start_key 1 dead --rate 400 --usb-dead-after 100
folder=$(usb_folder 1) # to read in it would be to wait, too
here opened_in_vain_stops_no_other_key
rm /run/stop
start_gaps
promise commands_time_out commands_time_out
promise kill_while_the_kernel_tries_is_followed_by_another kill_while_the_kernel_tries_is_followed_by_another
here reset_in_vain_stops_no_other_key
here stops_while_the_kernel_tries stops_while_the_kernel_tries
end $sim
end $alive
said usb.log
dmesg | tail -n 20 >/run/dmesg
said /run/dmesg
exit 0
