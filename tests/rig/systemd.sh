#!/bin/bash
# Runs as root in a guest of tests/rig/qemu.py (test_guests.py) whose systemd and udev run as on any
# machine: what needs keys on USB, udev or CUSE. All else of the service is in service.sh.
. "${0%/*}/promises.sh"
. "${0%/*}/manager.sh"
serial=M/tBF1IwMQA+SIMU
seed=systemd

# ---- the key: SIGUSR2 unplugs it and plugs it in ----
start_key() {
	"$build/ekey-sim" --listen vhci:0 --serial $serial --seed $seed --rate 2000 \
		--keyring /run/key.ring "$@" >>/run/key.log 2>&1 &
	sim=$!
	until_true test -s /run/key.ring
}
usb_folder() { dirname "$(grep -lx 20df /sys/bus/usb/devices/*/idVendor)"; }
key_is_there() { grep -qx 20df /sys/bus/usb/devices/*/idVendor; }
key_is_away() { ! key_is_there; }
plug() { kill -USR2 $sim && until_true key_is_there; }
unplug() { kill -USR2 $sim && until_true key_is_away; }

cuse_is_the_services() { has "660 root:ekey-random" /dev/cuse; }

# ---- udev, before any daemon ----
property() { udevadm info -q property "$1" | grep -x "$2" || { udevadm info "$1"; return 1; }; }
key_is_the_services() {
	key=$(usb_folder)
	has "660 root:ekey-random" "/dev/$(sed -n 's/^DEVNAME=//p' "$key/uevent")" &&
		grep -x on "$key/power/control"
}
key_is_left_alone_by_others() {
	property "$(usb_folder)" ID_MM_DEVICE_IGNORE=1 && property "$(usb_folder)" MTP_NO_PROBE=1
}
tty_is_the_services() {
	has "660 root:ekey-random" /dev/ttyACM0 && property /dev/ttyACM0 ID_MM_PORT_IGNORE=1
}
link_is_safe() { [ "$(readlink -f "/dev/entropykey/${serial/\//_}")" = /dev/ttyACM0 ]; }

# ---- the service ----
plug_starts_the_service() { ! active && plug && until_true active; }
device_is_for_everyone_to_read() { [ -c $device ] && has "444 root:ekey-random" $device; }
first_bytes_are_the_streams() { as_nobody timeout $limit "$tools/readers" one $device $seed 65536; }
others_can_wait_for_bytes_or_device() {
	systemctl start ekey-random-wait.service && systemctl is-active 'dev-ekey\x2drandom.device'
}

# The configuration is the shipped one; the kernel's driver has had to leave the key.
key_is_read_by_libusb() {
	grep -x "address = usb" $conf &&
		ls -l "/proc/$(pid)/fd" | grep /dev/bus/usb/ && ! ls /dev/ttyACM*
}
drain() { while [ "$(timeout 1 cat $device | wc -c)" -gt 0 ]; do :; done; }

# Eight readers on an empty pool, without a key: they wait, and so does the service.
unplug_blocks_readers() {
	before=$(pid)
	unplug
	drain
	"$tools/readers" many $device $seed 50000 8 >/run/readers 2>&1 &
	readers=$!
	sleep 2
	kill -0 $readers && active && [ "$(pid)" = "$before" ]
}
replug_serves_them() {
	plug
	wait $readers
	status=$?
	cat /run/readers
	return $status
}

# The sandbox lets its netlink through: else it would have to look for keys by itself.
udev_tells_of_keys() {
	journalctl -b --no-pager -u $service >/run/told
	grep "is plugged in" /run/told && ! grep "no udev here" /run/told
}

# By the link that ekeyd's users know.
tty_in_the_sandbox_serves_too() {
	systemctl stop $service
	until_true test -c /dev/ttyACM0 && udevadm settle || return 1
	sed -i "s,^address = .*,address = /dev/entropykey/${serial/\//_}," $conf
	systemctl start $service && read_as_nobody 65536 &&
		ls -l "/proc/$(pid)/fd" | grep /dev/ttyACM0 && systemctl stop $service
	status=$?
	sed -i 's/^address = .*/address = usb/' $conf
	systemctl start $service && read_as_nobody 64 && return $status
}

# ---- when it goes wrong ----
aborted_device_comes_back() {
	echo 1 >/sys/class/cuse/ekey-random/abort
	until_true withdrawn $device
	until_true published $device && udevadm settle && read_as_nobody 64
}

# What the unit says of PrivateUsers= is so, and would be seen here.
user_namespace_shuts_users_out() {
	with '[Service]' PrivateUsers=yes
	head -c 16 $device | wc -c | grep -qx 16 && ! read_as_nobody 16
	status=$?
	without
	return $status
}

# ---- started by hand, with a node and a lock in /dev ----
is_the_daemons_user() { [ "$(awk '/^Uid/ { print $2 }' "/proc/$1/status")" = "$(id -u ekey-random)" ]; }
root_by_hand_becomes_the_user_and_leaves_nothing() {
	systemctl stop $service
	ekey-randomd >/run/by_hand 2>&1 &
	by_hand=$!
	until_true published $device && until_true is_the_daemons_user $by_hand &&
		grep -x "CapEff:.0*" /proc/$by_hand/status && grep -x "NoNewPrivs:.1" /proc/$by_hand/status &&
		until_true read_as_nobody 64
	status=$?
	cat /run/by_hand
	end $by_hand && withdrawn $device && [ -z "$(ls -A /run/ekey-random)" ] && ! ls /dev/.ekey-random* || status=1
	rmdir /run/ekey-random
	systemctl start $service
	return $status
}

# ---- clones: this guest has what tells of them ----
feeder_has_asked() { journalctl -b -u ekey-feed | grep "unix:/run/none: "; }
unit_of_the_feeder_notices_clones() {
	echo 'EKEY_FEED_OPTIONS="--from unix:/run/none --trusted"' >/etc/default/ekey-feed
	systemctl start ekey-feed.service && until_true feeder_has_asked
	systemctl stop ekey-feed.service
	! journalctl -b -u ekey-feed | grep "go unnoticed"
}
clones() { ekeyctl status | sed -n 's/^  clones  *//p'; }
clones_drop_in_lets_the_daemon_notice() {
	clones | grep CAP_SYSLOG && drop_in "" && clones | grep -x "are noticed" &&
		grep -x "CapPrm:.0*" "/proc/$(pid)/status" || { clones; return 1; }
}

# cage LINE...: a service that may use no device but what the lines allow.
cage() {
	printf '%s\n' '[Service]' Type=oneshot DynamicUser=yes DevicePolicy=closed "$@" \
		"ExecStart=sh -c 'head -c 16 $device | wc -c | grep -qx 16'" >/run/systemd/system/cage.service
	systemctl daemon-reload
	systemctl start cage.service
}
service_reads_what_its_unit_allows() { ! cage && cage "DeviceAllow=$device r"; }

echo # systemd 257 leaves the console in the middle of a line
modprobe vhci_hcd
start_key
until_true key_is_there
unplug
promise installs_on_a_running_machine install_on_the_machine /run/key.ring
feed_no_kernel
promise cuse_is_the_services cuse_is_the_services

systemctl -q mask --runtime $service
plug
until_true test -c /dev/ttyACM0
udevadm settle
promise key_is_the_services key_is_the_services
promise key_is_left_alone_by_others key_is_left_alone_by_others
promise tty_is_the_services tty_is_the_services
promise link_is_safe link_is_safe
unplug
systemctl -q unmask --runtime $service

end $sim
start_key
until_true key_is_there
unplug
systemctl -q stop $service
promise plug_starts_the_service plug_starts_the_service
promise device_is_for_everyone_to_read device_is_for_everyone_to_read
promise key_is_read_by_libusb key_is_read_by_libusb
promise first_bytes_are_the_streams first_bytes_are_the_streams
promise others_can_wait_for_bytes_or_device others_can_wait_for_bytes_or_device
here unplug_blocks_readers
promise udev_tells_of_keys udev_tells_of_keys
here replug_serves_them
promise tty_in_the_sandbox_serves_too tty_in_the_sandbox_serves_too
promise device_outlives_its_daemon_says_the_doctor device_outlives_its_daemon_says_the_doctor
here readers_notice_no_end
promise aborted_device_comes_back aborted_device_comes_back
here root_by_hand_becomes_the_user_and_leaves_nothing
promise user_namespace_shuts_users_out user_namespace_shuts_users_out
promise unit_of_the_feeder_notices_clones unit_of_the_feeder_notices_clones
promise clones_drop_in_lets_the_daemon_notice clones_drop_in_lets_the_daemon_notice
drop_out
promise service_reads_what_its_unit_allows service_reads_what_its_unit_allows
promise uninstall_ends_it uninstall_ends_it
promise uninstall_leaves_no_unit_and_says_what_stays uninstall_leaves_no_unit_and_says_what_stays
end $sim

journalctl -b -o short-monotonic --no-pager -u $service -u ekey-random-wait.service >/run/journal
said /run/journal
said /run/key.log
echo "rig: exit 0"
systemctl poweroff -ff
