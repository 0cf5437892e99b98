#!/bin/bash
# Runs as root in a guest of tests/rig/qemu.py (test_systemd.py) whose systemd and udev run as they
# do at home: ekey-random is installed on the running machine, then keys come and go.
# /install is the tree of `make install`, with host.sh beside.
. "${0%/*}/promises.sh"
service=ekey-randomd.service
serial=M/tBF1IwMQA+SIMU
seed=systemd
drop_ins=/run/systemd/system/$service.d
conf=/etc/ekey-random/ekey-random.conf

show() { systemctl show -P "$1" $service; }
active() { systemctl is-active -q $service; }
pid() { show MainPID; } # of the parent
core() { cut -d' ' -f1 "/proc/$(pid)/task/$(pid)/children"; }
as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
read_as_nobody() { as_nobody timeout $limit head -c "$1" $device | wc -c | grep -qx "$1"; }

# with TEXT: the service as a drop-in of that text changes it, started anew.
with() {
	mkdir -p $drop_ins
	printf '%s\n' "$@" >$drop_ins/test.conf
	systemctl daemon-reload
	systemctl stop $service
	systemctl start $service
}
without() {
	rm -f $drop_ins/test.conf
	systemctl daemon-reload
}

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

# ---- installation ----
installs_on_a_running_machine() {
	mkdir /etc/entropykey
	cp /run/key.ring /etc/entropykey/keyring
	cp -a /install/root/. /
	/install/host.sh install /usr/local/lib/sysusers.d /usr/local/lib/tmpfiles.d /etc /usr/local/lib/udev/rules.d || return 1
	sed -i 's/^size = .*/size = 64KiB/' $conf # each daemon fills it anew
}
has() { [ "$(stat -c '%a %U:%G' "$2")" = "$1" ] || { stat -c '%n: %a %U:%G' "$2"; return 1; }; }
keyring_of_ekeyd_is_taken_over() {
	cmp /etc/entropykey/keyring /etc/ekey-random/keyring &&
		has "640 root:ekey-random" /etc/ekey-random/keyring
}
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
runs_as_nobody_special() { is_nobody_special "$(pid)" && is_nobody_special "$(core)"; }
is_nobody_special() {
	tr '\t' ' ' <"/proc/$1/status" >/run/status
	user=$(id -u ekey-random)
	grep -x "Uid: $user $user $user $user" /run/status && grep -x "CapBnd: 0*" /run/status &&
		grep -x "NoNewPrivs: 1" /run/status && grep -x "Seccomp: 2" /run/status
}
plug_starts_the_service() { ! active && plug && until_true active; }
device_is_for_everyone_to_read() { [ -c $device ] && has "444 root:ekey-random" $device; }
first_bytes_are_the_streams() { as_nobody timeout $limit "$tools/readers" one $device $seed 65536; }
others_can_wait_for_bytes_or_device() {
	systemctl start ekey-random-wait.service && systemctl is-active 'dev-ekey\x2drandom.device'
}
reload_keeps_it_running() {
	before=$(pid)
	systemctl reload $service && until_true active && [ "$(pid)" = "$before" ]
}

# The configuration is the shipped one; the kernel's driver has had to leave the key.
key_is_read_by_libusb() {
	grep -x "address = usb" $conf &&
		ls -l "/proc/$(core)/fd" | grep /dev/bus/usb/ && ! ls /dev/ttyACM*
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
		ls -l "/proc/$(core)/fd" | grep /dev/ttyACM0 && systemctl stop $service
	status=$?
	sed -i 's/^address = .*/address = usb/' $conf
	systemctl start $service && read_as_nobody 64 && return $status
}
# ---- one daemon goes, another one comes: eight readers notice nothing ----
restart_service() { systemctl restart $service; }
kill_core() { kill -KILL "$(core)"; }
kill_parent() { kill -KILL "$(pid)"; }
another_serves() { active && now=$(core 2>/dev/null) && [ "${now:-$1}" -ne "$1" ]; }
readers_notice_no_end() {
	node=$(stat -c %t:%T:%i $device)
	CALM=1 "$tools/readers" many $device $seed $((4 << 20)) 8 $((12 << 20)) &
	readers=$!
	round=0
	while [ $((round += 1)) -le ${rig_rounds:-2} ]; do
		for how in restart_service kill_core kill_parent; do
			before=$(core)
			began=$(date +%s%3N)
			$how && until_true another_serves "$before" && count 16 head -c 16 $device &&
				kill -0 $readers || return 1
			echo "$how: bytes again after $(($(date +%s%3N) - began)) ms"
		done
	done
	[ "$(stat -c %t:%T:%i $device)" = "$node" ] && kill -TERM $readers && wait $readers
}
handover_is_armed() { ekeyctl doctor | grep 'handover is armed by keeper, service manager'; }

# ---- when it goes wrong ----
came_back() { active && [ "$(pid)" != "$1" ] && read_as_nobody 64; }
aborted_device_comes_back() {
	echo 1 >/sys/class/cuse/ekey-random/abort
	until_true withdrawn $device
	until_true published $device && udevadm settle && read_as_nobody 64
}
killed_daemon_comes_back() {
	before=$(pid)
	kill -KILL "$before"
	until_true came_back "$before"
}
hung_daemon_comes_back() {
	with '[Service]' WatchdogSec=4
	before=$(pid)
	kill -STOP "$(core)"
	until_true came_back "$before"
	status=$?
	without
	return $status
}

# What the unit says of PrivateUsers= is so, and would be seen here.
user_namespace_shuts_users_out() {
	with '[Service]' PrivateUsers=yes
	head -c 16 $device | wc -c | grep -qx 16 && ! read_as_nobody 16
	status=$?
	without
	return $status
}

# ---- the drop-ins of the documentation folder, and ekey-feed's units ----
# drop_in FILE SECTION: the service with it, and with that at the end of its configuration.
drop_in() {
	cp $conf /run/shipped.conf
	printf '%s\n' "$2" >>$conf
	with "$(cat "/usr/local/share/doc/ekey-random/$1")"
}
drop_out() {
	cp /run/shipped.conf $conf
	without
}

kernel_is_fed() { ekeyctl status | grep -x "  feeds  *[1-9][0-9]*"; }
kernel_drop_in_lets_the_daemon_feed() { drop_in kernel.conf "[kernel]" && until_true kernel_is_fed; }

check_as_guest() {
	setpriv --reuid 65534 --regid 65534 --groups kvm ekey-feed --check --from unix:/run/ekey-random/egd
}
guests_drop_in_gives_the_socket_to_their_group() {
	drop_in guests.conf "[listen guests]
address = unix:/run/ekey-random/egd
owner = :kvm
[listen early]
address = unix:/run/ekey-random/early
mode = 0666" && has "660 ekey-random:kvm" /run/ekey-random/egd && check_as_guest
}

# unit_feeds UNIT VARIABLE OPTIONS
unit_feeds() {
	echo "$2=\"$3\"" >/etc/default/ekey-feed
	systemctl start "$1"
	until_true sh -c "journalctl -b -u $1 | grep 'fed the kernel.* a credit of 448 bits'"
	status=$?
	journalctl -b --no-pager -u "$1"
	systemctl stop "$1"
	return $status
}

network_drop_in_serves_whom_it_names() {
	drop_in network.conf "[listen lan]
address = tcp:127.0.0.1:8888" && ekey-feed --check --from tcp:127.0.0.1:8888
}

# A guest of Xen: QEMU would listen for its channel, one client at a time, where only root may connect.
start_channel() {
	cat >/run/guest.sh <<-'END'
		#!/bin/sh
		echo $$ >>/run/lives
		while :; do
			printf '\002\020'
			got=$(head -c 16 | wc -c)
			[ "$got" -eq 16 ] || exit 0 # the daemon has gone: QEMU listens again
			echo "$got" >>/run/got
			sleep 0.1
		done
	END
	chmod 755 /run/guest.sh
	printf '%s\n' '[Socket]' ListenStream=/run/xen/ekey-web SocketMode=0600 DirectoryMode=0700 Accept=yes \
		MaxConnections=1 >/run/systemd/system/channel.socket
	printf '%s\n' '[Service]' ExecStart=/run/guest.sh StandardInput=socket StandardError=null \
		>/run/systemd/system/channel@.service
	systemctl daemon-reload
	systemctl start channel.socket
}
has_got() { [ "$(grep -cx 16 /run/got)" -ge "$1" ]; }
goes_on() { until_true has_got $(($(grep -cx 16 /run/got) + 3)); }
capabilities() { sed -n 's/^CapEff:[[:space:]]*//p' "/proc/$1/status"; }
connector() {
	for child in $(cat "/proc/$(core)/task/$(core)/children"); do
		grep -qx ekey-connector "/proc/$child/comm" && echo "$child"
	done
}
xen_drop_in_serves_a_channel() {
	start_channel
	drop_in xen.conf "[listen guests]
address = xen:/run/xen"
	until_true has_got 3 && has "600 root:root" /run/xen/ekey-web &&
		[ "$(capabilities "$(core)")" = 0000000000000000 ] &&
		[ "$(capabilities "$(connector)")" = 0000000000000002 ]
}
# The same connection: its other end has one life.
channel_outlives_restart_and_kill() {
	for how in restart_service kill_core; do
		before=$(core)
		$how && until_true another_serves "$before" && goes_on || return 1
	done
	[ "$(wc -l </run/lives)" = 1 ]
}
# What it says without Xen, and that nothing but Xen is missing.
xen_guest_drop_in_lets_the_agent_feed() {
	mkdir -p /run/systemd/system/ekey-feed.service.d
	cp /usr/local/share/doc/ekey-random/xen-guest.conf /run/systemd/system/ekey-feed.service.d
	echo 'EKEY_FEED_OPTIONS="--from xen"' >/etc/default/ekey-feed
	systemctl daemon-reload
	systemctl start ekey-feed.service &&
		until_true sh -c "journalctl -b -u ekey-feed.service | grep 'no guest of Xen'" &&
		systemctl stop ekey-feed.service &&
		unit_feeds ekey-feed.service EKEY_FEED_OPTIONS "--from tcp:127.0.0.1:8888 --trusted"
	status=$?
	rm -r /run/systemd/system/ekey-feed.service.d
	systemctl daemon-reload
	return $status
}

# What the feeder's unit said when it was started.
unit_of_the_feeder_notices_clones() { ! journalctl -b -u ekey-feed | grep "go unnoticed"; }
clones() { ekeyctl status | sed -n 's/^  clones  *//p'; }
clones_drop_in_lets_the_daemon_notice() {
	clones | grep CAP_SYSLOG && drop_in clones.conf "" && clones | grep -x "are noticed" &&
		grep -x "CapPrm:.0*" "/proc/$(core)/status" || { clones; return 1; }
}

# cage LINE...: a service that may use no device but what the lines allow.
cage() {
	printf '%s\n' '[Service]' Type=oneshot DynamicUser=yes DevicePolicy=closed "$@" \
		"ExecStart=sh -c 'head -c 16 $device | wc -c | grep -qx 16'" >/run/systemd/system/cage.service
	systemctl daemon-reload
	systemctl start cage.service
}
service_reads_what_its_unit_allows() { ! cage && cage "DeviceAllow=$device r"; }

# Mounted elsewhere, as into a container, it is the folder of the next daemon's socket, too.
containers_drop_in_keeps_the_folder() {
	drop_in containers.conf "[listen containers]
address = unix:/run/ekey-random/containers/egd
mode = 0666"
	mkdir -p /run/inside && mount --bind -o ro /run/ekey-random/containers /run/inside &&
		check_inside && systemctl restart $service && check_inside &&
		systemctl stop $service && ! check_inside && systemctl start $service && check_inside
	status=$?
	umount /run/inside
	return $status
}
check_inside() { as_nobody ekey-feed --check --from unix:/run/inside/egd; }

mount_id() { awk -v point=$device '$5 == point { print $1 }' /proc/self/mountinfo; }
fuse_drop_in_serves_everyone() {
	sed -i 's/^via = .*/via = fuse/' $conf
	with "$(cat /usr/local/share/doc/ekey-random/fuse.conf)"
	[ ! -c $device ] && read_as_nobody 64 && as_nobody unshare -Um head -c 16 $device >/run/bytes &&
		mounted=$(mount_id) && systemctl restart $service && [ "$(mount_id)" = "$mounted" ] &&
		read_as_nobody 64 && systemctl stop $service && [ ! -e $device ]
	status=$?
	sed -i 's/^via = .*/via = auto/' $conf
	without
	return $status
}

uninstall_ends_it() {
	systemctl start $service
	/install/host.sh uninstall
	! active && [ ! -e $device ] && [ ! -e /run/ekey-random ]
}

echo # systemd 257 leaves the console in the middle of a line
modprobe vhci_hcd
start_key
until_true key_is_there
unplug
promise installs_on_a_running_machine installs_on_a_running_machine
promise keyring_of_ekeyd_is_taken_over keyring_of_ekeyd_is_taken_over
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
promise runs_as_nobody_special runs_as_nobody_special
promise key_is_read_by_libusb key_is_read_by_libusb
promise first_bytes_are_the_streams first_bytes_are_the_streams
promise others_can_wait_for_bytes_or_device others_can_wait_for_bytes_or_device
promise reload_keeps_it_running reload_keeps_it_running
here unplug_blocks_readers
promise udev_tells_of_keys udev_tells_of_keys
here replug_serves_them
promise tty_in_the_sandbox_serves_too tty_in_the_sandbox_serves_too
promise handover_is_armed handover_is_armed
here readers_notice_no_end
promise aborted_device_comes_back aborted_device_comes_back
promise killed_daemon_comes_back killed_daemon_comes_back
promise hung_daemon_comes_back hung_daemon_comes_back
promise user_namespace_shuts_users_out user_namespace_shuts_users_out
promise kernel_drop_in_lets_the_daemon_feed kernel_drop_in_lets_the_daemon_feed
drop_out
promise guests_drop_in_gives_the_socket_to_their_group guests_drop_in_gives_the_socket_to_their_group
promise early_unit_feeds unit_feeds ekey-feed-early.service EKEY_FEED_EARLY_OPTIONS \
	"--from unix:/run/ekey-random/early"
drop_out
promise network_drop_in_serves_whom_it_names network_drop_in_serves_whom_it_names
promise unit_feeds unit_feeds ekey-feed.service EKEY_FEED_OPTIONS "--from tcp:127.0.0.1:8888 --trusted"
promise xen_guest_drop_in_lets_the_agent_feed xen_guest_drop_in_lets_the_agent_feed
drop_out
promise xen_drop_in_serves_a_channel xen_drop_in_serves_a_channel
promise channel_outlives_restart_and_kill channel_outlives_restart_and_kill
promise unit_of_the_feeder_notices_clones unit_of_the_feeder_notices_clones
drop_out
promise clones_drop_in_lets_the_daemon_notice clones_drop_in_lets_the_daemon_notice
drop_out
promise service_reads_what_its_unit_allows service_reads_what_its_unit_allows
promise containers_drop_in_keeps_the_folder containers_drop_in_keeps_the_folder
drop_out
promise fuse_drop_in_serves_everyone fuse_drop_in_serves_everyone
promise uninstall_ends_it uninstall_ends_it
end $sim

journalctl -b -o short-monotonic --no-pager -u $service -u ekey-random-wait.service >/run/journal
said /run/journal
said /run/key.log
echo "rig: exit 0"
systemctl poweroff -ff
