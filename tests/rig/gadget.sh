#!/bin/sh
# Runs as root in a guest of tests/rig/qemu.py: the key as a USB gadget of Linux, on
# the dummy controller. So that the daemon does not only agree with our own USB/IP.
. "${0%/*}/promises.sh"
. "${0%/*}/keys.sh"
gadget=/sys/kernel/config/usb_gadget/key

# At full speed, as the key is; the numbers of the endpoints are the controller's choice.
make_gadget() {
	modprobe dummy_hcd is_high_speed=0
	modprobe usb_f_acm
	mount -t configfs configfs /sys/kernel/config
	mkdir -p $gadget/strings/0x409 $gadget/configs/key.1 $gadget/functions/acm.0
	echo 0x20df >$gadget/idVendor
	echo 0x0001 >$gadget/idProduct
	echo 2 >$gadget/bDeviceClass
	echo "Simtec Electronics" >$gadget/strings/0x409/manufacturer
	echo "Entropy Key" >$gadget/strings/0x409/product
	echo "${serial}0" >$gadget/strings/0x409/serialnumber
	echo 76 >$gadget/configs/key.1/MaxPower
	ln -s $gadget/functions/acm.0 $gadget/configs/key.1/
}
plug() { basename /sys/class/udc/* >$gadget/UDC; }
unplug() { echo >$gadget/UDC; }

enumerates() {
	[ "$(cat "$(usb_folder 0)/speed")" = 12 ] && until_true test -c /dev/ttyACM0
}

flows_in_order() { timeout $limit "$tools/readers" one $device gadget 65536; }

unplugged_gadget_blocks_readers() {
	start_crowd 100000
	unplug
	until_true key_is_away 0
	stays_blocked
}

replugged_gadget_serves_them() {
	plug
	wait_for_crowd
}

# try_source KIND ADDRESS
try_source() {
	kind=$1
	config usb "$2"
	plug
	until_true key_is_there 0
	"$build/ekey-sim" --listen tty:/dev/ttyGS0 --serial "${serial}0" --seed gadget --rate 2000 \
		--stats >>/run/key0.log 2>&1 &
	sim=$!
	[ "$kind" = usb ] || until_true test -c /dev/ttyACM0
	start_daemon usb $device
	promise "$kind.flows_in_order" flows_in_order
	here "$kind.unplugged_gadget_blocks_readers" unplugged_gadget_blocks_readers
	here "$kind.replugged_gadget_serves_them" replugged_gadget_serves_them
	end $daemon TERM
	unplug # first: Linux keeps an end of the gadget 15 s open for what nobody has read
	until_true key_is_away 0
	end $sim TERM
}

start_usb
make_gadget
seed=gadget
write_keyring gadget 0
plug
until_true key_is_there 0
promise enumerates enumerates
unplug
until_true key_is_away 0
try_source tty /dev/ttyACM0
try_source usb usb
said /run/usb.log
said /run/key0.log
exit 0
