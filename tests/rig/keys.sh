# Simulated keys on USB, for the jobs of the rig that runs Debian's kernel; sourced by them after
# promises.sh.
serial=SIMULATEDKEY000 # and one character
control=/run/usb.control

# start_key PORT SEED [OPTION...]: plugged into that port; its pid in $sim. DTR and RTS kill it.
start_key() {
	at=$1
	rm -f "/run/key$at.ring"
	seed=$2
	shift 2
	"$build/ekey-sim" --listen "vhci:$at" --serial "$serial$at" --seed "$seed" --stats \
		--usb-strict --fault-seed 1 --keyring "/run/key$at.ring" "$@" >>"/run/key$at.log" 2>&1 &
	sim=$!
	until_true test -s "/run/key$at.ring"
	until_true key_is_there "$at"
}

# The folder in sysfs of the key that was plugged into PORT.
usb_folder() {
	found=$(dirname "$(grep -lx "$serial$1" /sys/bus/usb/devices/*/serial)")
	[ "$found" != . ] && echo "$found"
}

key_is_there() { usb_folder "$1" >/dev/null; }
key_is_away() { ! key_is_there "$1"; }

# stop_key PORT PID: unplugs it for good, and waits until the kernel has noticed. After the last of
# them the pool is emptied: the next one's stream begins anew.
stop_key() {
	end "$2"
	until_true key_is_away "$1"
	[ ! -e $device ] || key_is_there 0 || key_is_there 1 || until_true emptied
}
emptied() {
	timeout 0.5 cat $device >/dev/null
	[ "$(status_of level_bytes)" = 0 ]
}

# counted PID PORT NAME: one of the key's counters, asked of it while it runs.
counted() {
	lines=$(grep -c '^ekey-sim: blocks' "/run/key$2.log")
	kill -USR1 "$1"
	until_true more_lines "$lines" "/run/key$2.log"
	sed -n "s/^ekey-sim:.* $3=\([0-9]*\).*/\1/p" "/run/key$2.log" | tail -n 1
}
more_lines() { [ "$(grep -c '^ekey-sim: blocks' "$2")" -gt "$1" ]; }

# config NAME ADDRESS...: writes /run/NAME.conf, a source for each address; the keyring is of all
# keys there may be.
config() {
	name=$1
	shift
	{
		printf '[daemon]\nkeyring = /run/keyring\ncontrol = %s\n' "$control"
		printf '[pool]\nsize = 16KiB\n[device random]\npath = %s\nvia = cuse\n' $device
		for address; do
			printf '[source %s]\ntype = ekey\naddress = %s\n' \
				"$(echo "${address##*/}" | tr A-Z: a-z-)" "$address"
		done
	} >"/run/$name.conf"
}

# write_keyring SEED PORT...: as their keys will have it, before they are plugged in.
write_keyring() {
	seed=$1
	shift
	for at; do
		"$build/ekey-sim" --listen unix:/run/none --serial "$serial$at" --seed "$seed" \
			--print-ltk --quiet >/run/ltk &
		until_true test -s /run/ltk
		kill $!
		wait $!
		cat /run/ltk
		: >/run/ltk
	done >/run/keyring
	chmod 0640 /run/keyring
}

# The word in the daemon's status that follows NAME, in its first line with it.
status_of() {
	"$build/ekeyctl" --socket "$control" status | awk -v n="$1" '$1 == n { print $2; exit }'
}
delivered() { status_of delivered; }
flowing() { [ "$(delivered)" -gt $((delivered_before + 20000)) ]; }

# Bytes of the stream that nobody reads, at most.
SPARE=1048576

# crowd BYTES: eight readers at once, killed and interrupted too; none may see anything amiss.
crowd() { "$tools/readers" many $device "$seed" "$1" 8 $SPARE; }

# start_crowd BYTES: in the background, as $readers; returns when it has got some of them.
start_crowd() {
	delivered_before=$(delivered)
	crowd "$1" >/run/readers 2>&1 &
	readers=$!
	until_true flowing
}

# Readers who want more than there will be: when they have what there was, they wait.
still() {
	before=$(delivered)
	sleep 0.5
	[ "$(delivered)" = "$before" ]
}
stays_blocked() {
	until_true still
	before=$(delivered)
	sleep 2
	after=$(delivered)
	echo "delivered $before, $after"
	[ "$before" = "$after" ] && kill -0 $readers
}

wait_for_crowd() {
	wait $readers
	status=$?
	cat /run/readers
	return $status
}

unplugged_key_blocks_readers() {
	start_crowd 200000
	kill -USR2 $sim
	until_true key_is_away 0
	stays_blocked
}

replugged_key_serves_them() {
	kill -USR2 $sim
	wait_for_crowd
}

# Hundredths of a second since the guest was started.
now() { sed 's/\.\([0-9]*\) .*/\1/' /proc/uptime; }

start_usb() {
	/lib/systemd/systemd-udevd --daemon
	modprobe -a vhci_hcd cdc_acm cuse
	udevadm settle
	# vhci_hcd can miss a key that comes in the instant in which its hub falls asleep.
	for hub in /sys/bus/usb/devices/usb*/power/control; do
		echo on >"$hub"
	done
}
