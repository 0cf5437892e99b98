#!/bin/sh
# shellcheck disable=SC2317
# `make run`: tests/tools/demo.sh BUILD SECONDS CONFIG. Without CONFIG it runs a simulated Entropy Key and the
# daemon, reads some bytes from the device and prints a status. Runs until Ctrl-C, or for SECONDS.
set -eu
umask 077
build=$(cd "$1" && pwd) seconds=$2 config=$3
wait_s=20 # for each step: generous, a step takes a fraction of a second

sim='' daemon='' timer='' place='' mounted=''

say() { printf '%s\n' "$*"; }

fail() {
	say "demo: $*" >&2
	for log in "${place:-/nonexistent}"/*.log; do
		[ ! -s "$log" ] || sed "s,^,    ${log##*/}: ," "$log" >&2
	done
	exit 1
}

# Ends a child process, with SIGKILL after 5 s.
end() {
	[ -n "$1" ] && kill "$1" 2>/dev/null || return 0
	(sleep 5 && kill -9 "$1") >/dev/null 2>&1 &
	wait "$1" 2>/dev/null || true
	kill $! 2>/dev/null || true
}

# Only a daemon that was killed leaves its mount behind.
clean() {
	trap '' INT TERM HUP ALRM
	end "$timer"
	end "$daemon"
	end "$sim"
	if [ -n "$mounted" ] && grep -qF " $mounted " /proc/self/mountinfo; then
		umount -l "$mounted" 2>/dev/null || fusermount3 -uz "$mounted" 2>/dev/null || true
	fi
	[ -z "$place" ] || rm -rf "$place"
}
trap clean EXIT
trap 'say; say "demo: stopped."; exit 0' INT TERM HUP

# until_true WHAT PID COMMAND...: while the program PID lives, and for wait_s.
until_true() {
	what=$1 pid=$2 left=$((wait_s * 10))
	shift 2
	until "$@" >/dev/null 2>&1; do
		kill -0 "$pid" 2>/dev/null || fail "a program ended before $what."
		[ $((left -= 1)) -gt 0 ] || fail "after $wait_s seconds still not: $what."
		sleep 0.1
	done
}

# Looks at the kernel's tables: looking at the path itself would wait for the daemon.
published() {
	grep -qF " $device " /proc/self/mountinfo ||
		[ -e "/sys/class/cuse/${device#/dev/}/dev" ]
}

# Wakes the script after SECONDS, unless it is ended before; its sleep ends with it.
wake_later() {
	sleep "$seconds" &
	trap 'kill $!' TERM
	wait $! && kill -ALRM $$
}

# The end of the daemon is noticed at once, also before SECONDS.
stay() {
	if [ -n "$seconds" ]; then
		trap 'say "demo: stopped after $seconds seconds, as requested."; exit 0' ALRM
		wake_later >/dev/null 2>&1 &
		timer=$!
	else
		say "demo: runs until Ctrl-C."
	fi
	wait "$daemon" || true
	fail "ekey-randomd ended by itself."
}

check_place() {
	[ -r /proc/self/mountinfo ] ||
		fail "/proc is not mounted here; as root: mount -t proc proc /proc"
	case $seconds in *[!0-9]*) fail "SECONDS=$seconds is not a number." ;; esac
	if [ ! -e /dev/fuse ] && [ "$(id -u)" = 0 ]; then
		mknod -m 666 /dev/fuse c 10 229 || fail "/dev/fuse is missing and cannot be made."
		say "demo: made /dev/fuse, which was missing."
	fi
}

run_config() {
	say "demo: ekey-randomd with $config; no simulated key."
	"$build/ekey-randomd" -c "$config" &
	daemon=$!
	stay
}

write_config() {
	cat <<-END
		[daemon]
		$user
		keyring = $place/keyring
		control = $place/control
		[source simulated]
		type = ekey
		address = unix:$place/key
		[device random]
		path = $device
		class = direct
		via = $via
	END
}

run_simulated() {
	if [ "$(id -u)" = 0 ]; then
		place=$(mktemp -d "${TMPDIR:-/tmp}/ekey-random.XXXXXX")
		device=/dev/ekey-random via=auto user="user = root" # another user may not be able to read the folder
	else
		place=$(mktemp -d "${XDG_RUNTIME_DIR:-$build}/ekey-random.XXXXXX")
		device=$place/ekey-random via=fuse user=
	fi
	write_config >"$place/ekey-random.conf"
	"$build/ekey-sim" --listen "unix:$place/key" --rate 86 --keyring "$place/keyring" \
		>"$place/ekey-sim.log" 2>&1 &
	sim=$!
	until_true "the simulated key listens" "$sim" test -S "$place/key" -a -s "$place/keyring"
	"$build/ekey-randomd" -c "$place/ekey-random.conf" >"$place/ekey-randomd.log" 2>&1 &
	daemon=$!
	until_true "the daemon answers" "$daemon" "$build/ekeyctl" --socket "$place/control" status
	until_true "the device is there" "$daemon" published
	! grep -qF " $device " /proc/self/mountinfo || mounted=$device
	show
	stay
}

show() {
	say "demo: 32 bytes read from $device:"
	timeout "$wait_s" od -A x -t x1z -v -N 32 "$device" >"$place/bytes" ||
		fail "no bytes came from $device within $wait_s seconds."
	sed 's/^/    /' "$place/bytes"
	say "demo: ekeyctl status:"
	"$build/ekeyctl" --socket "$place/control" status | sed 's/^/    /'
	say ""
	say "demo: THE KEY IS SIMULATED. Its bytes must not be used for anything."
}

check_place
if [ -n "$config" ]; then run_config; else run_simulated; fi
