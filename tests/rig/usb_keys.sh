#!/bin/sh
# Runs as root in a guest of tests/rig/qemu.py: what the daemon does about keys
# that come, go, fall silent or fail, and about those who also want them.
. "${0%/*}/promises.sh"
. "${0%/*}/keys.sh"
master=6MQKLoRDCfBNTgPVlQ3gr+26tIVJ/pmO8+oPWkEgfN6m
first=${serial}0
second=${serial}1

# write_config FILE SOURCE...: each "NAME=ADDRESS", or "NAME=ADDRESS,N" where N keys are expected.
write_config() {
	file=$1
	shift
	{
		printf '[daemon]\nkeyring = /run/keyring\ncontrol = /run/%s.control\n' "${file%.conf}"
		printf '[pool]\nsize = 16KiB\n'
		for source; do
			address=${source#*=}
			printf '[source %s]\ntype = ekey\naddress = %s\n' "${source%%=*}" "${address%,*}"
			[ "${address%,*}" = "$address" ] || printf 'expect = %s\n' "${address#*,}"
		done
	} >"$file"
}

# start_without_device CONFIG: its pid in $daemon, its log beside CONFIG.
start_without_device() {
	"$build/ekey-randomd" -c "$1" >"${1%.conf}.log" 2>&1 &
	daemon=$!
	until_true "$build/ekeyctl" --socket "/run/${1%.conf}.control" status >/dev/null || exit 1
}

status() { "$build/ekeyctl" --socket "/run/${1%.conf}.control" status; }

# row CONFIG SOURCE KEY: its value.
row() {
	status "$1" | awk -v s="$2" -v k="$3" '
		$1 == "source" { here = $2 == s } $1 == k && here { sub(/^ *[^ ]+ +/, ""); print }'
}
row_is() { [ "$(row "$1" "$2" "$3")" = "$4" ]; }
is_keyed() { until_true row_is "$1" "$2" state keyed; }
lines() { grep -c "$2" "${1%.conf}.log"; }
one_line() { [ "$(lines "$1" "$2")" = 1 ]; }

# ---- which key is whose ----
named_key_is_its_sections() { is_keyed usb.conf mine && row_is usb.conf mine serial $first; }

other_keys_are_for_any() {
	is_keyed usb.conf "any/$second" && row_is usb.conf any present 1 &&
		! status usb.conf | grep "any/$first"
}

missing_keys_are_reported() {
	until_true one_line usb.conf "source any: 1 of 2 expected keys present" &&
		row_is usb.conf any expected 2
}

reload_hands_keys_over() {
	write_config usb.conf any=usb,2
	kill -HUP $daemon
	is_keyed usb.conf "any/$first" && is_keyed usb.conf "any/$second" &&
		until_true one_line usb.conf "source any: all 2 expected keys present" || return 1
	write_config usb.conf any=usb "mine=usb:$second"
	kill -HUP $daemon
	is_keyed usb.conf "any/$first" && is_keyed usb.conf mine &&
		! status usb.conf | grep "any/$second"
}

# ---- who else wants it ----
kernel_has_no_terminal() { until_true no_terminal; }
no_terminal() { [ -z "$(ls /dev/ttyACM* 2>/dev/null)" ]; }

second_daemon_waits() {
	write_config other.conf any=usb
	start_without_device other.conf
	until_true grep -q "waiting for usb:$first: another program uses it" other.log &&
		is_keyed usb.conf "any/$first"
}

second_daemon_takes_over() { is_keyed other.conf "any/$first"; }

kernel_has_its_keys_back() { until_true test -c /dev/ttyACM0 -a -c /dev/ttyACM1; }

stays_awake() {
	echo auto >"$(usb_folder 0)/power/control"
	echo 0 >"$(usb_folder 0)/power/autosuspend_delay_ms"
	sleep 3
	[ "$(cat "$(usb_folder 0)/power/runtime_status")" = active ]
}

full_pool_notices_unplugging() {
	until_true row_is usb.conf any/$first paused yes || return 1
	kill -USR2 $sim
	until_true row_is usb.conf any/$first connected no &&
		until_true one_line usb.conf "usb:$first is gone: not plugged in" || return 1
	kill -USR2 $sim
	is_keyed usb.conf any/$first
}

# ---- the ladder ----
alarm_is() { row_is usb.conf any/$first alarm "$1"; }

silent_key_raises_one_alarm() {
	until_true alarm_is yes || return 1
	sleep 5
	echo "resets of the session: $(row usb.conf any/$first resets)"
	one_line usb.conf "key $first does not answer: unplug it and plug it in again" &&
		one_line usb.conf "usb:$first does not answer: resetting it" &&
		one_line usb.conf "try the kernel's driver for this key: address = /dev/entropykey/$first"
}

replugged_key_answers() {
	stop_key 0 $sim
	start_key 0 ladder
	is_keyed usb.conf any/$first && alarm_is no
}

# ---- ekeyctl ----
# What it says of the key that start_key put into port 0.
says_what_it_is() {
	cat report
	grep -qx 'device 20df:0001 release 0200, USB 0200, class 02/00/00' report &&
		grep -qx 'endpoint 81: bulk, packets 64 bytes, interval 0' report &&
		grep -qx 'endpoint 03: bulk, packets 64 bytes, interval 0' report &&
		grep -q '^USB port [0-9.-]* at 12 Mbit/s: "Simtec Electronics", "Entropy Key"$' report &&
		grep -qx "key $first" report && grep -qx 'state: keyed.*' report &&
		grep -q '^compared with' report && ! grep -q 'differs in USB descriptors' report
}

report_of_the_daemon_has_descriptors() {
	is_keyed usb.conf any/$first &&
		"$build/ekeyctl" --socket /run/usb.control hwreport $first >report && says_what_it_is
}

key_that_the_daemon_has_is_in_use() {
	"$build/ekeyctl" --socket /run/usb.control --device usb rekey $first
	[ $? = 9 ] || return 1
	"$build/ekeyctl" --socket /run/usb.control --device usb --timeout $((2 * PACE))s hwreport >report 2>&1
	[ $? = 9 ] && cat report && grep -q 'another program uses it' report &&
		grep -q 'ekey-randomd runs and may have this key: omit --device' report
}

report_without_the_daemon() {
	"$build/ekeyctl" --device usb --timeout $((3 * PACE))s --keyring /run/keyring hwreport >report &&
		says_what_it_is && until_true test -c /dev/ttyACM0
}

type_master_key() {
	until_true grep -q 'Master key' terminal
	echo "$master"
	until_true grep -q 'in session' terminal
}

# On a terminal of its own.
rekey_without_the_daemon() {
	before=$(cat /run/keyring)
	: >terminal
	type_master_key | timeout $limit script -qefc \
		"$build/ekeyctl --device $1 --keyring /run/keyring rekey $first" /dev/null >terminal
	cat terminal
	grep -q 'in session under its new long-term key: done' terminal &&
		[ "$before" != "$(cat /run/keyring)" ] && until_true test -c /dev/ttyACM0
}

# ---- faults that stay ----
stall_that_stays_is_given_up_once() {
	until_true one_line usb.conf "$stalls" || return 1
	sleep 10
	grep -E "$first" usb.log | tail -n 5
	cleared=$(counted $sim 0 usb_halts_cleared)
	echo "halts cleared: $cleared"
	[ "$cleared" -lt 40 ] && one_line usb.conf "$stalls"
}
stalls='its USB endpoint stalls: unplug it and plug it in again'

# ---- without udev ----
keys_are_found_without_udev() {
	one_line usb.conf "no udev here: looking for keys every 2 s" && is_keyed usb.conf any/$first
}

unplugging_is_noticed_without_udev() {
	stop_key 0 $sim
	until_true row_is usb.conf any/$first connected no
}

# with SEED OPTION...: a daemon for any key, and one key.
with() {
	seed=$1
	shift
	write_keyring "$seed" 0
	write_config usb.conf any=usb
	start_without_device usb.conf
	start_key 0 "$seed" "$@"
}

# without: both end.
without() {
	end $daemon TERM
	stop_key 0 $sim
	said usb.log
}

start_usb
write_keyring both 0 1
start_key 0 both
sim_of_first=$sim
start_key 1 both
until_true test -c /dev/ttyACM0 -a -c /dev/ttyACM1
write_config usb.conf any=usb,2 "mine=usb:$first"
start_without_device usb.conf
promise named_key_is_its_sections named_key_is_its_sections
promise other_keys_are_for_any other_keys_are_for_any
promise missing_keys_are_reported missing_keys_are_reported
promise reload_hands_keys_over reload_hands_keys_over
promise kernel_has_no_terminal kernel_has_no_terminal
promise stays_awake stays_awake
had=$daemon
here second_daemon_waits second_daemon_waits
end $had TERM
promise second_daemon_takes_over second_daemon_takes_over
end $daemon TERM
promise kernel_has_its_keys_back kernel_has_its_keys_back
stop_key 1 $sim
stop_key 0 $sim_of_first
said usb.log

with full --rate 2000
promise full_pool_notices_unplugging full_pool_notices_unplugging
without

with ladder --hang-after 500
promise silent_key_raises_one_alarm silent_key_raises_one_alarm
here replugged_key_answers replugged_key_answers
without

with tool --master-key $master
promise report_of_the_daemon_has_descriptors report_of_the_daemon_has_descriptors
promise key_that_the_daemon_has_is_in_use key_that_the_daemon_has_is_in_use
end $daemon TERM
until_true test -c /dev/ttyACM0
promise report_without_the_daemon report_without_the_daemon
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts # for terminals
promise rekey_without_the_daemon rekey_without_the_daemon usb
promise rekey_of_a_named_key_without_the_daemon rekey_without_the_daemon usb:$first
stop_key 0 $sim

with stall --usb-stall-every 1
promise stall_that_stays_is_given_up_once stall_that_stays_is_given_up_once
without

udevadm control --exit
rm -f /run/udev/control
with quiet
promise keys_are_found_without_udev keys_are_found_without_udev
here unplugging_is_noticed_without_udev unplugging_is_noticed_without_udev
end $daemon TERM
said usb.log
exit 0
