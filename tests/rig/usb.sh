#!/bin/sh
# Runs as root in a guest of tests/rig/qemu.py: a simulated key on a USB of the real
# kernel, first as Linux sees it, then as the source of a real /dev/ekey-random.
# rig_address: usb or tty, how the daemon gets at the key.
# rig_cycles: how often the key is unplugged while readers wait.
. "${0%/*}/promises.sh"
. "${0%/*}/keys.sh"

# ---- a key as Linux sees it ----
says() {
	is=$(cat "$(usb_folder 0)/$1")
	[ "$is" = "$2" ] || { echo "$1: $is"; return 1; }
}

enumerates() {
	says speed 12 && says idVendor 20df && says idProduct 0001 && says bMaxPower 76mA &&
		says manufacturer "Simtec Electronics" && says product "Entropy Key" &&
		says bDeviceClass 02 && says bNumInterfaces " 2"
}

endpoints_are_the_keys() {
	folder=$(usb_folder 0)
	for at in 1.0/ep_82/type=Interrupt 1.1/ep_81/type=Bulk 1.1/ep_03/type=Bulk \
		1.1/ep_81/wMaxPacketSize=0040 1.0/bInterfaceClass=02 1.1/bInterfaceClass=0a; do
		grep -qx "${at#*=}" "$folder:${at%=*}" 2>/dev/null ||
			grep -qx "${at#*=}" "$folder/${folder##*/}:${at%=*}" || { echo "$at"; return 1; }
	done
}

udev_knows_it() {
	udevadm settle
	udevadm info -q property -p "$(usb_folder 0)" >/run/properties
	grep -x "ID_SERIAL_SHORT=${serial}0" /run/properties && grep -x ID_VENDOR_ID=20df /run/properties
}

acm_binds() { until_true test -c /dev/ttyACM0; }

two_keys_have_two_terminals() { until_true test -c /dev/ttyACM0 -a -c /dev/ttyACM1; }

# ---- the key as a source ----
flows_in_order() { timeout $limit "$tools/readers" one $device "$seed" 65536; }

no_class_request_was_sent() { [ "$(counted $sim 0 usb_class_requests)" = "$class_requests" ]; }

no_line_state_was_sent() { [ "$(counted $sim 0 usb_line_states)" = 0 ]; }

# From the plug to the first byte of a reader that waits, on an empty pool. The key sends 86 frames in a
# second once it is read, and it has no more than those of 3 s.
plug_to_byte_takes_less_than_3_s_of_frames() {
	drain
	: >/run/byte
	timeout $limit head -c 1 $device >/run/byte &
	reader=$!
	sleep 1
	[ ! -s /run/byte ] || { echo "a byte without a key"; return 1; }
	began=$(now)
	kill -USR2 $sim
	wait $reader
	echo "took $(($(now) - began)) hundredths of a second here"
	[ -s /run/byte ]
}

drain() { while [ "$(timeout 1 cat $device | wc -c)" -gt 0 ]; do :; done; }

# fault COUNTER: bytes come through, undamaged, while the fault strikes.
fault() {
	timeout $limit "$tools/readers" many $device "$seed" 50000 8 $SPARE || return 1
	struck=$(counted $sim 0 "$1")
	echo "$1=$struck"
	[ "$struck" -gt 0 ]
}

# try_fault NAME COUNTER OPTION...
try_fault() {
	fault_name=$1
	counter=$2
	shift 2
	start_key 0 "$seed" --rate 2000 "$@"
	promise "$fault_name" fault "$counter"
	stop_key 0 $sim
}

open_files() { ls /proc/$daemon/fd | wc -l; }
memory() { awk '$1 == "RssAnon:" { print $2 }' /proc/$daemon/status; }
unplugged() { [ "$(counted $sim 0 unplugged)" -ge "$1" ]; }

# The key comes and goes, each time after other 6 to 12 KB, under readers who want all that it has
# between: about a third of that, as the last bytes of each life are on their way and the first are
# for the health tests.
unplugged_at_any_byte() {
	export LIMIT_S=$(((30 + rig_cycles) * PACE))
	start_crowd $((rig_cycles * 3000))
	until_true unplugged 3
	files=$(open_files)
	kb=$(memory)
	began=$(now)
	wait_for_crowd || return 1
	until unplugged "$rig_cycles"; do
		crowd 10000 || return 1
	done
	times=$(counted $sim 0 unplugged)
	echo "unplugged $times times, in $(($(now) - began)) hundredths of a second"
	echo "open files: $files, $(open_files); memory: $kb, $(memory) KiB"
	[ "$(open_files)" -le $((files + 1)) ] && [ "$(memory)" -le $((kb + 256)) ] &&
		[ "$times" -ge "$rig_cycles" ]
}

full() { [ "$(status_of level_bytes)" -gt $(($(status_of size_bytes) - 64)) ]; }
# All threads: libusb's and the watchdog's too.
woken() { awk '/^voluntary_ctxt/ { n += $2 } END { print n }' /proc/$daemon/task/*/status; }

# For longer than the watchdog waits, from the last read, before its last question.
sleeps() {
	before=$(woken)
	sleep 12
	echo "woken $before, $(woken)"
	[ "$(woken)" = "$before" ]
}
idle_and_full_sleeps() {
	until_true full || return 1
	sleeps || sleeps || sleeps
}

# ---- two keys ----
# keyed N: so many keys are in session.
keyed() {
	"$build/ekeyctl" --socket "$control" status |
		awk -v n="$1" '$1 == "state" && $2 == "keyed" { n-- } END { exit n != 0 }'
}

# What a reader is given that takes all is compared with the frames that the keys send meanwhile: how
# busy this machine is makes no difference.
window=3000             # frames of each key, or more
under_way=$((24 << 10)) # bytes at most, in keys, daemon and pool

# Of a key PORT:PID.
sent_by() { counted "${1#*:}" "${1%:*}" blocks; }
has_sent() { [ "$(sent_by "$1")" -ge "$2" ]; }

# readers_get_what_is_sent_by KEY...: the bytes of all of them are in $sent, those of the last in $share.
readers_get_what_is_sent_by() {
	timeout $limit cat $device >/dev/null &
	reader=$!
	sent=0
	outer=$(delivered)
	for key; do
		sent_by $key >/run/sent.${key%:*}
	done
	inner=$(delivered)
	for key; do
		until_true has_sent $key $((window + $(cat /run/sent.${key%:*})))
	done
	inner=$(($(delivered) - inner))
	for key; do
		share=$((($(sent_by $key) - $(cat /run/sent.${key%:*})) * 32))
		sent=$((sent + share))
		echo "key ${key%:*} sent $share bytes"
	done
	outer=$(($(delivered) - outer))
	kill $reader
	wait $reader
	echo "readers got from $inner to $outer bytes"
	[ $inner -le $((sent + under_way)) ] && [ $outer -ge $((sent - under_way)) ]
}

two_keys_double_the_rate() {
	readers_get_what_is_sent_by 0:$first || return 1
	start_key 1 "$seed" --rate $rate
	second=$sim
	until_true keyed 2 && readers_get_what_is_sent_by 0:$first 1:$second &&
		[ $((share * 3)) -gt $sent ]
}

losing_one_halves_it() {
	stop_key 1 $second
	readers_get_what_is_sent_by 0:$first
}

# ---- all of it through one kind of source ----
try_plug() {
	start_key 0 "$seed" --rate 4000
	# Those of cdc_acm, which cannot be kept from it.
	until_true test -c /dev/ttyACM0
	class_requests=$(counted $sim 0 usb_class_requests)
	start_daemon usb $device
	promise "$kind.flows_in_order" flows_in_order
	[ "$kind" = tty ] || promise "$kind.no_class_request_was_sent" no_class_request_was_sent
	promise "$kind.no_line_state_was_sent" no_line_state_was_sent
	[ "$kind" = tty ] || promise "$kind.idle_and_full_sleeps" idle_and_full_sleeps
	here "$kind.unplugged_key_blocks_readers" unplugged_key_blocks_readers
	here "$kind.replugged_key_serves_them" replugged_key_serves_them
	stop_key 0 $sim
	end $daemon TERM

	start_key 0 "$seed" --rate 86 --blocks $((3 * 86))
	kill -USR2 $sim
	until_true key_is_away 0
	start_daemon usb $device
	here "$kind.plug_to_byte_takes_less_than_3_s_of_frames" plug_to_byte_takes_less_than_3_s_of_frames
	stop_key 0 $sim
}

try_faults() {
	try_fault "$kind.stall" usb_stalls --usb-stall-every 101
	try_fault "$kind.eproto" usb_eprotos --usb-eproto-every 101
	try_fault "$kind.overflow" usb_overflows --usb-overflow-every 101
	try_fault "$kind.zero_length_packets" usb_zero_packets --usb-zero-every 7
	try_fault "$kind.short_packets" usb_short_packets --usb-short-every 7
	# After 101 packets and 31 bytes.
	try_fault "$kind.disconnected_mid_frame" unplugged --unplug-after 6495 --unplug-times 3 \
		--replug-after 20
	# A terminal cannot reset its device.
	[ "$kind" = tty ] || try_fault "$kind.nak_until_reset" usb_mutes --usb-nak-after 1500
	start_key 0 "$seed" --rate 2000 --unplug-after 6000 --unplug-jitter 6000 --replug-after 20
	here "$kind.unplugged_at_any_byte" unplugged_at_any_byte
	stop_key 0 $sim
}

try_two() {
	rate=1000
	start_key 0 "$seed" --rate $rate
	first=$sim
	until_true keyed 1
	here "$kind.two_keys_double_the_rate" two_keys_double_the_rate
	here "$kind.losing_one_halves_it" losing_one_halves_it
	stop_key 0 $first
}

# try_source KIND ADDRESS: what no kind of source can make a difference to is tried on USB only.
try_source() {
	kind=$1
	seed=$1
	write_keyring "$seed" 0 1
	config usb "$2"
	try_plug
	try_faults
	[ "$kind" = tty ] || try_two
	end $daemon TERM
}

start_usb
case $rig_address in
tty)
	start_key 0 plug
	promise enumerates enumerates
	promise endpoints_are_the_keys endpoints_are_the_keys
	promise acm_binds acm_binds
	promise udev_knows_it udev_knows_it
	first=$sim
	start_key 1 plug
	promise two_keys_have_two_terminals two_keys_have_two_terminals
	stop_key 1 $sim
	stop_key 0 $first
	try_source tty /dev/ttyACM0
	;;
usb)
	try_source usb usb
	;;
esac
said /run/usb.log
grep -h '^ekey-sim' /run/key?.log >/run/counters
said /run/counters
dmesg | tail -n 40 >/run/dmesg
said /run/dmesg
exit 0
