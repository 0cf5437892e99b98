#!/bin/sh
# Runs as root beside systemd: in namespaces of this machine (tests/rig/namespaces.py), or in a guest of
# tests/rig/qemu.py where those cannot be had. The service with a key on a Unix socket, without CUSE
# and without udev's help.
. "${0%/*}/promises.sh"
. "${0%/*}/manager.sh"
[ ! -e /run/systemd/container ] || rig_rounds=10 # no processor is emulated
seed=service
key_address=unix:/run/key

start_key() {
	rm -f /run/key.ring
	"$build/ekey-sim" --listen $key_address --seed $seed --rate 2000 --keyring /run/key.ring >>/run/key.log 2>&1 &
	sim=$!
	until_true test -s /run/key.ring -a -S /run/key
	chmod 666 /run/key
}
take_the_key_by_its_socket() { sed -i "s,^address = .*,address = $key_address," $conf; }

# ---- installation ----
keyring_of_ekeyd_is_taken_over() {
	cmp /etc/entropykey/keyring /etc/ekey-random/keyring &&
		has "640 root:ekey-random" /etc/ekey-random/keyring
}

# ---- the service ----
kernel_has() { ekeyctl status | sed -n '/^kernel/,/^[a-z]/p' | grep -x "  $1"; }
kernel_is_fed() { kernel_has "feeds  *[1-9][0-9]*"; }
shipped_configuration_feeds_the_kernel_without_credit() {
	until_true kernel_is_fed && kernel_has "credit  *not asked for" && kernel_has "failures  *0"
}
runs_as_nobody_special() { is_nobody_special "$(pid)"; }
is_nobody_special() {
	tr '\t' ' ' <"/proc/$1/status" >/run/status
	user=$(id -u ekey-random)
	grep -x "Uid: $user $user $user $user" /run/status && grep -x "CapBnd: 0*" /run/status &&
		grep -x "NoNewPrivs: 1" /run/status && grep -x "Seccomp: 2" /run/status
}
is_never_swapped() { [ "$(show MemorySwapMax)" = 0 ]; }
reload_keeps_it_running() {
	before=$(pid)
	systemctl reload $service && until_true active && [ "$(pid)" = "$before" ]
}
reloads() { journalctl -b -u $service | grep -c "SIGHUP: "; }
reloaded() { [ "$(reloads)" -gt "$1" ]; }
broken_configuration_fails_the_reload_and_changes_nothing() {
	cp $conf /run/good.conf
	before=$(reloads)
	sed -i 's/^size = .*/size = 1 MB/' $conf
	line=$(grep -n '^size' $conf)
	! systemctl reload $service && journalctl -b -u $service | grep "$conf:${line%%:*}: " && active &&
		[ "$(reloads)" = "$before" ] && cp /run/good.conf $conf && systemctl reload $service &&
		until_true reloaded "$before"
	status=$?
	cp /run/good.conf $conf
	return $status
}

# Pings, which carry it too, are far apart here.
says() { show StatusText | grep "^$1; pool"; }
status_text_is_that_of_now() {
	with '[Service]' WatchdogSec=1h
	until_true says "1 key, keyed" || return 1
	kill $sim
	until_true says "no key, .*"
}

# ---- sockets of systemd's ----
write_socket() {
	printf '%s\n' [Socket] ListenStream=/run/spare FileDescriptorName=spare Service=$service \
		>/run/systemd/system/spare.socket
	systemctl daemon-reload
	systemctl stop $service
	systemctl start spare.socket $service
}
socket_without_a_section_is_named() {
	write_socket && journalctl -b -u $service | grep "no .listen. takes the service manager's socket spare, "
}
socket_with_a_section_at_last_serves_who_waited() {
	ekey-feed --check --from unix:/run/spare --timeout 60s &
	waiter=$!
	cp $conf /run/shipped.conf
	printf '%s\n' "[listen spare]" "address = systemd:spare" >>$conf
	sleep 1
	kill -0 $waiter && systemctl reload $service && wait $waiter
	status=$?
	systemctl stop spare.socket
	cp /run/shipped.conf $conf
	return $status
}

# ---- the drop-ins that are printed, and ekey-feed's units ----
doctor_says_when_the_drop_in_differs() {
	rights="the service has the rights that its configuration needs"
	ekeyctl unit >$drop_in && ekeyctl doctor | grep -x "ok   daemon -: $rights" &&
		echo PrivateUsers=yes >>$drop_in &&
		ekeyctl doctor | grep "^BAD  daemon -: the service has other rights than its configuration needs: $drop_in"
	status=$?
	rm -f $drop_in
	return $status
}
kernel_drop_in_lets_the_daemon_feed() {
	drop_in "[kernel]
credit = yes" && until_true kernel_is_fed && kernel_has "credit  *given"
}

check_as_guest() {
	setpriv --reuid 65534 --regid 65534 --groups kvm ekey-feed --check --from unix:/run/ekey-random/egd
}
guests_drop_in_gives_the_socket_to_their_group() {
	drop_in "[listen guests]
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

others_can_wait_for_bytes_of_a_fuse_device() {
	mkdir -p /run/systemd/system/ekey-random-wait.service.d
	# systemd finds no /dev to replace in our namespaces.
	printf '%s\n' '[Service]' PrivateDevices=no >/run/systemd/system/ekey-random-wait.service.d/rig.conf
	systemctl daemon-reload
	systemctl start ekey-random-wait.service
	status=$?
	journalctl -b --no-pager -u ekey-random-wait.service
	systemctl stop ekey-random-wait.service
	return $status
}

# By a port that takes a capability, which the daemon then gives up.
network_drop_in_serves_whom_it_names() {
	drop_in "[listen lan]
address = tcp:127.0.0.1:888" && ekey-feed --check --from tcp:127.0.0.1:888 &&
		[ "$(capabilities "$(pid)")" = 0000000000000000 ]
}

# ---- TLS: ekey-tls.socket, the file of keys is for its user ----
tls_pid() { systemctl show -P MainPID ekey-tls.service; }
tls_check() { ekey-feed --check --from tls:127.0.0.1:8889 --psk /run/client.psk; }
tls_is_away() { [ "$(tls_pid)" = 0 ]; }
tls_is_spoken_by_a_user_of_its_own() {
	tls_is_away || return 1
	echo "web1:$(printf '%064d' 7)" | tee /run/client.psk >/etc/ekey-random/psk
	chmod 600 /run/client.psk
	chgrp ekey-tls /etc/ekey-random/psk && chmod 0640 /etc/ekey-random/psk
	drop_in "[listen wan]
address = tls:127.0.0.1:8889
psk = /etc/ekey-random/psk"
	tls_check && tr '\t' ' ' <"/proc/$(tls_pid)/status" >/run/status || return 1
	user=$(id -u ekey-tls)
	grep -x "Uid: $user $user $user $user" /run/status && grep -x "CapBnd: 0*" /run/status &&
		grep -x "NoNewPrivs: 1" /run/status && grep -x "Seccomp: 2" /run/status &&
		! setpriv --reuid ekey-random --regid ekey-random --clear-groups cat /etc/ekey-random/psk
}
killed_ekey_tls_comes_back_and_reload_revokes() {
	before=$(tls_pid)
	kill -KILL "$before" && until_true tls_check && [ "$(tls_pid)" != "$before" ] || return 1
	echo "web2:$(printf '%064d' 8)" >/etc/ekey-random/psk
	systemctl reload $service && until_true tls_is_refused
}
tls_is_refused() { ! tls_check; }
ekey_tls_ends_with_the_daemon() { systemctl stop $service && until_true tls_is_away; }

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
	for child in $(cat "/proc/$(pid)/task/$(pid)/children"); do
		grep -qx ekey-connect "/proc/$child/comm" && echo "$child"
	done
}
xen_drop_in_serves_a_channel() {
	start_channel
	drop_in "[listen guests]
address = xen:/run/xen"
	until_true has_got 3 && has "600 root:root" /run/xen/ekey-web &&
		[ "$(capabilities "$(pid)")" = 0000000000000000 ] &&
		[ "$(capabilities "$(connector)")" = 0000000000000002 ]
}
# The connection ends with the daemon; QEMU listens again, and the next daemon connects.
channel_is_served_again_after_restart_and_kill() {
	for how in restart_service kill_service; do
		before=$(pid)
		$how && until_true another_serves "$before" && goes_on || return 1
	done
	[ "$(wc -l </run/lives)" = 3 ]
}
feed_drop_in=/etc/systemd/system/ekey-feed.service.d/ekey-random.conf
# What it says without Xen, and that nothing but Xen is missing.
xen_guest_drop_in_lets_the_agent_feed() {
	echo 'EKEY_FEED_OPTIONS="--from xen"' >/etc/default/ekey-feed
	ekeyctl unit ekey-feed >$feed_drop_in && cat $feed_drop_in && systemctl daemon-reload
	systemctl start ekey-feed.service &&
		until_true sh -c "journalctl -b -u ekey-feed.service | grep 'no guest of Xen'" &&
		systemctl stop ekey-feed.service &&
		unit_feeds ekey-feed.service EKEY_FEED_OPTIONS "--from tcp:127.0.0.1:888 --trusted"
	status=$?
	rm $feed_drop_in
	systemctl daemon-reload
	return $status
}

# Mounted elsewhere, as into a container, it is the folder of the next daemon's socket, too.
containers_drop_in_keeps_the_folder() {
	drop_in "[listen containers]
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

is_not_root() {
	[ "$(capabilities "$(pid)")" = 0000000000000000 ] &&
		tr '\t' ' ' <"/proc/$(pid)/status" | grep "^Uid: $(id -u ekey-random) "
}
device_lock=/dev/.ekey-random.lock
mount_id() { awk -v point=$device '$5 == point { print $1 }' /proc/self/mountinfo; }
fuse_drop_in_serves_everyone() {
	sed -i 's/^via = .*/via = fuse/' $conf
	drop_in ""
	[ ! -c $device ] && is_not_root && read_as_nobody 64 && as_nobody unshare -Um head -c 16 $device >/run/bytes &&
		mounted=$(mount_id) && systemctl restart $service && [ "$(mount_id)" = "$mounted" ] &&
		read_as_nobody 64 && systemctl stop $service && [ ! -e $device ] && [ ! -e $device_lock ]
	status=$?
	drop_out
	sed -i 's/^via = .*/via = cuse/' $conf
	return $status
}
# ---- ekey-mount ----
mount_log() { journalctl -b --no-pager -u 'ekey-mount@*'; }
ekey_mount_serves_no_other_user() {
	mkdir -p /run/stranger && chown 65534 /run/stranger
	printf '%s\n' '[daemon]' 'control = /run/stranger/control' 'keyring = /run/stranger/keyring' '[device random]' \
		"path = $device" 'via = fuse' >/run/stranger/conf
	systemctl stop $service
	chmod 666 /run/ekey-mount.socket
	as_nobody env EKEY_MOUNT=/run/ekey-mount.socket timeout 5 ekey-randomd -c /run/stranger/conf
	chmod 660 /run/ekey-mount.socket
	mount_log | grep "uid 65534 asked, but only the daemon's user ekey-random may" && [ ! -e $device ]
	status=$?
	systemctl start $service
	return $status
}

with_path() { sed -i "s,^path = .*,path = $1," $conf; }
reads() { as_nobody timeout 5 head -c 64 "$1" | wc -c | grep -qx 64; }
is_gone() { [ ! -e "$1" ] && [ ! -e "${1%/*}/.${1##*/}.lock" ]; }
# The service sees the folder read-only, and ekey-mount sees the next configuration.
moved_device_leaves_nothing_at_its_path() {
	with_path /srv/first
	systemctl restart $service && until_true reads /srv/first && with_path /srv/second &&
		systemctl reload $service && until_true reads /srv/second && is_gone /srv/first && with_path /srv/third &&
		systemctl restart $service && until_true reads /srv/third && is_gone /srv/second &&
		systemctl stop $service && is_gone /srv/third
}
doctor_says() { ekeyctl doctor | grep "$1"; }
doctor_names_a_path_that_the_service_cannot_see() {
	with_path /tmp/random
	systemctl restart $service
	until_true doctor_says "is not served: /tmp/random" && doctor_says "the unit hides /home, /root, /tmp, "
}
# and_back COMMAND...: with the device at its path again, and what ekey-mount said.
and_back() {
	"$@"
	status=$?
	mount_log
	with_path $device
	systemctl restart $service
	return $status
}

# ---- with a device, by FUSE ----
first_bytes_are_the_streams() { as_nobody timeout $limit "$tools/readers" one $device $seed 65536; }

# ---- when it goes wrong ----
came_back() { active && [ "$(pid)" != "$1" ] && read_as_nobody 64; }
killed_daemon_comes_back() {
	before=$(pid)
	kill -KILL "$before"
	until_true came_back "$before"
}
hung_daemon_comes_back() {
	with '[Service]' WatchdogSec=4
	before=$(pid)
	kill -STOP "$(pid)"
	until_true came_back "$before"
}

echo # systemd 257 leaves the console in the middle of a line
start_key
promise installs_on_a_running_machine install_on_the_machine /run/key.ring
promise keyring_of_ekeyd_is_taken_over keyring_of_ekeyd_is_taken_over
take_the_key_by_its_socket
systemctl start $service
promise shipped_configuration_feeds_the_kernel_without_credit shipped_configuration_feeds_the_kernel_without_credit
feed_no_kernel
sed -i 's/^via = .*/via = cuse/' $conf # which is missing here: no device, and no right for one
promise runs_as_nobody_special runs_as_nobody_special
promise is_never_swapped is_never_swapped
promise reload_keeps_it_running reload_keeps_it_running
promise broken_configuration_fails_the_reload_and_changes_nothing \
	broken_configuration_fails_the_reload_and_changes_nothing
promise socket_without_a_section_is_named socket_without_a_section_is_named
promise socket_with_a_section_at_last_serves_who_waited socket_with_a_section_at_last_serves_who_waited
promise status_text_is_that_of_now status_text_is_that_of_now
without
wait $sim
start_key
promise doctor_says_when_the_drop_in_differs doctor_says_when_the_drop_in_differs
promise kernel_drop_in_lets_the_daemon_feed kernel_drop_in_lets_the_daemon_feed
drop_out
promise guests_drop_in_gives_the_socket_to_their_group guests_drop_in_gives_the_socket_to_their_group
promise early_unit_feeds unit_feeds ekey-feed-early.service EKEY_FEED_EARLY_OPTIONS \
	"--from unix:/run/ekey-random/early"
drop_out
promise tls_is_spoken_by_a_user_of_its_own tls_is_spoken_by_a_user_of_its_own
promise killed_ekey_tls_comes_back_and_reload_revokes killed_ekey_tls_comes_back_and_reload_revokes
promise ekey_tls_ends_with_the_daemon ekey_tls_ends_with_the_daemon
drop_out
promise network_drop_in_serves_whom_it_names network_drop_in_serves_whom_it_names
promise unit_feeds unit_feeds ekey-feed.service EKEY_FEED_OPTIONS "--from tcp:127.0.0.1:888 --trusted"
promise xen_guest_drop_in_lets_the_agent_feed xen_guest_drop_in_lets_the_agent_feed
drop_out
promise xen_drop_in_serves_a_channel xen_drop_in_serves_a_channel
promise channel_is_served_again_after_restart_and_kill channel_is_served_again_after_restart_and_kill
drop_out
promise containers_drop_in_keeps_the_folder containers_drop_in_keeps_the_folder
drop_out
promise fuse_drop_in_serves_everyone fuse_drop_in_serves_everyone

# The stream begins anew with the key.
systemctl stop $service
end $sim
start_key
sed -i 's/^via = .*/via = fuse/' $conf
drop_in ""
promise first_bytes_are_the_streams first_bytes_are_the_streams
promise ekey_mount_serves_no_other_user ekey_mount_serves_no_other_user
promise moved_device_leaves_nothing_at_its_path and_back moved_device_leaves_nothing_at_its_path
promise doctor_names_a_path_that_the_service_cannot_see and_back doctor_names_a_path_that_the_service_cannot_see
promise others_can_wait_for_bytes_of_a_fuse_device others_can_wait_for_bytes_of_a_fuse_device
promise device_outlives_its_daemon_says_the_doctor device_outlives_its_daemon_says_the_doctor
here readers_notice_no_end
promise killed_daemon_comes_back killed_daemon_comes_back
promise hung_daemon_comes_back hung_daemon_comes_back
drop_out
promise uninstall_ends_it uninstall_ends_it
promise uninstall_leaves_no_unit_and_says_what_stays uninstall_leaves_no_unit_and_says_what_stays
end $sim

journalctl -b -o short-monotonic --no-pager -u $service -u ekey-random-wait.service >/run/journal
said /run/journal
said /run/key.log
echo "rig: exit 0"
systemctl poweroff -ff
