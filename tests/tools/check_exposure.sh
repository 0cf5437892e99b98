#!/bin/sh
# The exposure that systemd-analyze finds in the installed units, and in ekey-randomd.service with each
# drop-in that `ekeyctl unit` prints: one line each, "FIGURE of at most LIMIT: WHAT".
#     tests/tools/check_exposure.sh BUILD
set -eu
build=$(cd "$1" && pwd)
cd "${0%/*}/../.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
make -s install DESTDIR="$place" BUILD="$build" >/dev/null
units=$place/usr/local/lib/systemd/system
drop_in=$units/ekey-randomd.service.d/ekey-random.conf
mkdir "${drop_in%/*}"
bad=0

# check UNIT LIMIT WHAT
check() {
	figure=$(systemd-analyze security --offline=true "$units/$1" 2>&1 | sed -n 's/.* exposure level for .*: \([0-9.]*\) .*/\1/p')
	echo "$figure of at most $2: $3"
	awk "BEGIN { exit !(\"$figure\" != \"\" && $figure+0 <= $2) }" || bad=1
}

# needs LIMIT WHAT LINE...: a configuration of these lines, without what this machine needs for any.
needs() {
	limit=$1 what=$2
	shift 2
	printf '%s\n' "$@" >"$place/conf"
	"$build/ekeyctl" unit -c "$place/conf" >"$place/text" || bad=1
	sed '/^# this virtual machine/,$d' "$place/text" >"$drop_in"
	grep -q = "$drop_in" || { echo "$what: nothing is printed"; bad=1; }
	check ekey-randomd.service "$limit" "with the drop-in for $what"
	rm "$drop_in"
}

check ekey-randomd.service 1.4 "ekey-randomd.service"
check ekey-random-wait.service 1.3 "ekey-random-wait.service"
check ekey-feed.service 2.5 "ekey-feed.service"
check ekey-feed-early.service 4.0 "ekey-feed-early.service"
check ekey-tls.service 0.5 "ekey-tls.service"
# Root, with the host's mounts: nothing less can mount.
check ekey-mount@.service 3.5 "ekey-mount@.service"
needs 2.0 "guests of QEMU" '[listen a]' 'address = unix:/run/ekey-random/egd' 'owner = :kvm'
needs 2.0 "guests of Xen" '[listen a]' 'address = xen:/run/xen'
needs 2.0 "other machines" '[listen a]' 'address = tcp:0.0.0.0:8888' 'allow = 192.0.2.0/24'
needs 2.0 "other machines, by TLS" '[listen a]' 'address = tls:[::]:8889' 'psk = /etc/ekey-random/psk'
needs 2.0 "guests with a vsock" '[listen a]' 'address = vsock:8888'
needs 2.0 "containers" '[listen a]' 'address = unix:/run/ekey-random/containers/egd'
needs 2.0 "a server" '[source a]' 'type = egd' 'address = tcp:192.0.2.1:8888'
needs 2.0 "a serial line" '[source a]' 'type = ekey' 'address = /dev/ttyS0'
needs 2.0 "HAProxy" '[agent]' 'address = tcp:192.0.2.1:7777' 'allow = 192.0.2.0/24'
needs 2.0 "credit of the kernel" '[kernel]' 'credit = yes'
needs 2.0 "FUSE" '[device a]' 'path = /dev/a' 'via = fuse'
exit $bad
