#!/bin/sh
# Changes that `make install` makes to the machine beyond its files; a boot would do the same.
#     udev/host.sh install SYSUSERSDIR TMPFILESDIR SYSCONF RULESDIR
#     udev/host.sh stop                                      before the files are removed
#     udev/host.sh uninstall SYSCONF                         after the files are removed
set -eu

have() { command -v "$1" >/dev/null; }
systemd_runs() { [ -d /run/systemd/system ] && have systemctl; }
udev_runs() { [ -S /run/udev/control ] && have udevadm; } # not in a container

# Purging the package ekeyd deletes its keyring.
copy_keyring() {
	from=/etc/entropykey/keyring to=$1/ekey-random/keyring
	[ -e $from ] && [ ! -e "$to" ] || return 0
	install -m 0640 $from "$to"
	if getent group ekey-random >/dev/null; then chgrp ekey-random "$to"; fi
	echo "install: copied $from to $to"
}

install_host() {
	! have systemd-sysusers || systemd-sysusers "$1/ekey-random.conf"
	copy_keyring "$3"
	! have systemd-tmpfiles || systemd-tmpfiles --create "$2/ekey-random.conf"
	! systemd_runs || systemctl daemon-reload
	udev_runs || return 0
	# udev may have read our rules before the group existed; systemd 257 reads only changed files.
	touch "$4/60-ekey-random.rules"
	udevadm control --reload
	# Treats a key that is already plugged in as a new one.
	udevadm trigger --action=change --subsystem-match=usb \
		--attr-match=idVendor=20df --attr-match=idProduct=0001
	udevadm trigger --action=change --subsystem-match=tty --property-match=ID_VENDOR_ID=20df
}

stop_services() {
	! systemd_runs || systemctl disable --now ekey-randomd.service ekey-random-wait.service \
		ekey-tls.socket ekey-tls.service \
		ekey-feed.service ekey-feed-early.service || :
	# Not at once: a socket that is to stop passes nothing on, and the daemon unmounts at its end.
	! systemd_runs || systemctl stop ekey-mount.socket || :
}

uninstall_host() {
	! systemd_runs || systemctl daemon-reload
	! udev_runs || udevadm control --reload
	echo "uninstall: not removed: $1/ekey-random, the users and groups ekey-random and ekey-tls, and, until the next boot," \
		"the group of /dev/cuse"
}

case ${1-} in
install) install_host "$2" "$3" "$4" "$5" ;;
stop) stop_services ;;
uninstall) uninstall_host "$2" ;;
*) exit 2 ;;
esac
