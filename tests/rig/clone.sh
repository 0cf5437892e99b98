#!/bin/sh
# Runs as root in a guest of tests/rig/test_clone.py, which saves it and goes on with it more than
# once: a daemon and ekey-feed, each with a console of virtio to the host's daemon, and the orders of
# the host on the second serial port.
. "${0%/*}/promises.sh"
bytes=2048 # of one read; the pool has as many

status() { "$build/ekeyctl" --socket /run/guest.control status; }
figure() { sed -n "s/^ekey_feed_$1 //p" /run/feed.prom; }
has_fed() { [ "$(figure feeds_total)" -ge "$1" ]; }
holds() { [ "$(status | awk '$1 == "level_bytes" { print $2; exit }')" -ge $bytes ]; }
begun_anew() { [ "$(grep -c 'all sources restart' /run/guest.log)" -ge "$1" ]; }

# What a reader gets, for the host to find in its stream.
gave=0
give() {
	timeout $limit head -c $bytes $device >got
	echo "gave $((gave += 1)) $(od -An -v -tx1 got | tr -d ' \n')"
}

# renewed N: the daemon has begun anew as often, and ekey-feed fed as often since it began.
renewed() {
	until_true begun_anew "$1" && until_true has_fed $(($1 + 1))
	status=$?
	cat guest.log feed.log
	return $status
}

feeds_when_told() {
	fed=$(figure feeds_total)
	kill -USR1 $feeder && until_true has_fed $((fed + 1))
}

# After an order to each.
notices_sleep() {
	echo mem >/sys/power/state
	renewed 2
}

cat >guest.conf <<END
[daemon]
keyring = /run/ring
control = /run/guest.control
[source up]
type = egd
address = tty:/dev/hvc0
[device random]
path = $device
via = cuse
END
: >ring
modprobe -a virtio_console cuse
start_daemon guest $device
"$build/ekey-feed" --from tty:/dev/hvc1 --interval 1h --textfile /run/feed.prom >feed.log 2>&1 &
feeder=$!
until_true has_fed 1
until_true holds

exec 3<>/dev/ttyS1
stty raw -echo <&3
echo "rig: ready"
while read -r order; do
	case $order in
	give) give ;;
	notice) promise clone_is_noticed renewed 1 ;;
	sleep) promise sleep_is_noticed notices_sleep ;;
	wipe) promise wiped_by_order "$build/ekeyctl" --socket /run/guest.control wipe ;;
	feed) promise fed_by_order feeds_when_told ;;
	esac
	echo "did $order"
done <&3
