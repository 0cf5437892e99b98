# Simulated keys on USB, for the jobs of the rig that runs Debian's kernel; sourced by them after
# promises.sh.
serial=SIMULATEDKEY000 # and one character

# No two keys of a job send the same blocks, so that what the pool still has of one that is gone is
# not taken for bytes that came twice. The readers know the first 262,144.
next_block=0
BLOCKS_OF_A_KEY=16384

# start_key PORT SEED [OPTION...]: plugged into that port; its pid in $sim.
start_key() {
	at=$1
	rm -f "/run/key$at.ring"
	sim_options="--serial $serial$at --seed $2 --first-block $next_block --fault-seed 1 --stats"
	next_block=$((next_block + BLOCKS_OF_A_KEY))
	shift 2
	# shellcheck disable=SC2086
	"$build/ekey-sim" --listen "vhci:$at" $sim_options --keyring "/run/key$at.ring" "$@" \
		>>"/run/key$at.log" 2>&1 &
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

# stop_key PORT PID: unplugs it for good, and waits until the kernel has noticed.
stop_key() {
	end "$2"
	until_true key_is_away "$1"
}

# counted PID PORT NAME: one of the key's counters, asked of it while it runs.
counted() {
	lines=$(grep -c '^ekey-sim: blocks' "/run/key$2.log")
	kill -USR1 "$1"
	until_true more_lines "$lines" "/run/key$2.log"
	sed -n "s/^ekey-sim: blocks.* $3=\([0-9]*\).*/\1/p" "/run/key$2.log" | tail -n 1
}
more_lines() { [ "$(grep -c '^ekey-sim: blocks' "$2")" -gt "$1" ]; }

# config NAME ADDRESS...: writes /run/NAME.conf, a source for each address; the keyring is of all
# keys there may be.
config() {
	name=$1
	shift
	{
		printf '[daemon]\nkeyring = /run/keyring\ncontrol = /run/%s.control\n' "$name"
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

# Hundredths of a second since the guest was started.
now() { sed 's/\.\([0-9]*\) .*/\1/' /proc/uptime; }

start_usb() {
	/lib/systemd/systemd-udevd --daemon
	modprobe -a vhci_hcd cdc_acm cuse
	udevadm settle
}
