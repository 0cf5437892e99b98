#!/bin/sh
# Debian's systemd as the first process of namespaces, on this machine's own files and kernel; as root:
#     namespaces.sh ARCHIVE LIMIT
# The tar ARCHIVE is unpacked over those files. Its unit rig.service is started; what it writes to
# /dev/console is written out here when it has powered off, or after LIMIT seconds. Nothing else is
# kept: the root is an overlay in memory. The devices are those of memory and FUSE; modules of the
# kernel cannot be loaded, and its settings cannot be changed.
set -eu

# A chroot's root is no mount: in there mounts cannot be made private, pivot_root and user namespaces
# fail. at_root SCRIPT WORD...: from this folder, at the root of the namespace of mounts.
at_root() {
	script=$1
	shift
	exec 9<.
	exec nsenter --mount=/proc/self/ns/mnt sh -c "cd /proc/self/fd/9 && exec 9<&- && $script" sh "$@"
}

# ---- on the machine: mounts that are gone with the last process of their namespace ----
alone() {
	cd /
	at_root 'mount --make-rprivate / && exec chroot . "$@"' sh "$0" outside "$archive" "$limit"
}

outside() {
	work=$(mktemp -d)
	mount -t tmpfs -o mode=755 rig "$work"
	cd "$work"
	mkdir cgroup upper lower root
	: >console
	mount -t cgroup2 rig cgroup
	group=$work/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/ekey-rig.$$
	mkdir "$group"
	timeout --foreground -s KILL "$limit" unshare --mount --propagation unchanged --pid --net --ipc --uts --fork --kill-child \
		sh "$0" first "$archive" "$group" || status=$?
	cat console
	tries=50 # what was killed takes a moment to be gone
	until find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || [ $((tries -= 1)) -eq 0 ]; do
		sleep 0.1
	done
	exit "${status:-0}"
}

# ---- the first process ----
first() {
	echo 0 >"$1/cgroup.procs"
	exec unshare --cgroup sh "$0" root "$archive"
}

make_devices() {
	for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0 fuse:10:229; do
		numbers=${node#*:}
		mknod -m 666 "dev/${node%%:*}" c "${numbers%:*}" "${numbers#*:}"
	done
	: >dev/console
	mount --bind ../console dev/console
}

make_root() {
	mount -t overlay rig -o lowerdir=/,upperdir=upper,workdir=lower root
	cd root
	rm -rf etc/systemd/system etc/fstab etc/crypttab etc/ekey-random etc/entropykey etc/default/ekey-feed
	tar -xf "$archive"
	for at in dev run tmp; do
		mount -t tmpfs rig $at
	done
	make_devices
	chmod 755 dev run
	mount -t proc proc proc
	mount --bind proc/sys proc/sys
	mount -o remount,bind,ro proc/sys
	mount -t sysfs -o ro sysfs sys
	mount -t cgroup2 cgroup sys/fs/cgroup
	at_root 'pivot_root . mnt && exec chroot . "$@"' sh /rig/namespaces.sh systemd
}

become_systemd() {
	umount -l /mnt
	mount --make-rshared / # as on a machine, where systemd does it itself
	export container=rig
	exec setpriv --bounding-set=-sys_module,-sys_rawio,-sys_time \
		/lib/systemd/systemd --unit=rig.service --show-status=no </dev/null >/dev/null 2>&1
}

step=$1
archive=${2-}
limit=${3-}
case $step in
alone) alone ;;
outside) outside ;;
first) first "$3" ;;
root) make_root ;;
systemd) become_systemd ;;
*) exec unshare --mount --propagation unchanged sh "$(readlink -f "$0")" alone "$(readlink -f "$1")" "$2" ;;
esac
