#!/bin/sh
# Runs as root in the dom0 of tests/rig/xen.py (test_xen.py): simulated keys, the daemon, and guests
# that it serves over their channels, and over what QEMU emulates for those of type HVM.
#   rig_part: "all", or "short": a PV and a PVH guest, and nothing that takes long
#   rig_bytes: that each of those asks for, the first rig_scarce of them while the key is slow
#   rig_rate: of the slow key, in frames per second
#   rig_rounds: restarts of the daemon, and as many kills, under a guest that waits for bytes
limit=75
. "${0%/*}/promises.sh"
. "${0%/*}/xen_dom0.sh"
# The stream, in blocks of 32 bytes: what the slow key gives, then what the fast one has to, then
# what the slow one can again. The rest of each is for what is lost.
slow=$(((rig_scarce * 4 + (128 << 10)) / 32))
fast=$((slow + (rig_bytes * 2 + (128 << 10)) / 32))
rig_span=$((fast * 32 + (512 << 10) + rig_rounds * (128 << 10)))

both_start_together() {
	for name in pv pvh; do
		within 400 says $name ready
	done
	pv=$(console_of pv) && pvh=$(console_of pvh) && echo >"$pv" && echo >"$pvh"
}

# ---- what the guests had ----
# Pieces of the key's stream, "FROM TO", of one guest.
pieces() { sed -n 's/^# took \([0-9]* [0-9]*\)$/\1/p' "/run/$1.said"; }

# A piece may seem to go on for some bytes where another begins, by chance: see stream.c.
no_byte_is_in_two_guests() {
	for name in $guests; do
		pieces "$name"
	done | sort -n | awk '
		$1 + 7 < had { print "twice: " $1 " to " had; bad = 1 }
		{ had = $2 > had ? $2 : had; n += $2 - $1 }
		END { print n " bytes in " NR " pieces"; exit bad || NR < 2 }'
}

# While both asked for what the slow key could not give them.
guests_share_evenly() {
	until_true has "$rig_scarce" pv && until_true has "$rig_scarce" pvh || return 1
	progress pv >/run/a
	progress pvh >/run/b
	awk -v scarce="$rig_scarce" -v gives=$((rig_rate * 32)) '
		FNR == 1 || had[FILENAME, n[FILENAME]] < scarce {
			t[FILENAME, ++n[FILENAME]] = $1; had[FILENAME, n[FILENAME]] = $2
		}
		function at(f, ms, i) { for (i = 1; i < n[f] && t[f, i + 1] <= ms; i++); return had[f, i] }
		END {
			a = "/run/a"; b = "/run/b"
			from = t[a, 1] > t[b, 1] ? t[a, 1] : t[b, 1]
			to = t[a, n[a]] < t[b, n[b]] ? t[a, n[a]] : t[b, n[b]]
			quarter = (to - from) / 4
			from += quarter; to -= quarter
			x = at(a, to) - at(a, from); y = at(b, to) - at(b, from)
			rate = (x + y) / (to - from) * 1000
			print x " and " y " bytes in " (to - from) " ms: " rate " a second of " gives
			exit !(rate > gives * 0.75 && x > y * 0.75 && y > x * 0.75)
		}' /run/a /run/b
}

# ---- the same guest, in other lives ----
guest_is_seeded_before_it_runs() {
	rm /run/guest-pv.log
	guest pv pv lives restart -p
	leave_seed pv && xl unpause pv
}

had_by() { progress "$1" | tail -n 1 | cut -d' ' -f2; }

# 4 KiB more than it had are none that were under way to it.
gets_more_after() {
	succeed "$1" || return 1
	had=$(had_by pv)
	until_true has $((had + 4096)) pv
}

guest_gets_its_bytes_over_restarts_and_kills() {
	until_true has 1 pv || return 1
	for round in $(seq "$rig_rounds"); do
		for how in restart_daemon kill_daemon; do
			gets_more_after $how || { echo "not after $how in round $round"; return 1; }
		done
	done
	echo >"$(console_of pv)" # enough
}

# ---- HVM ----
monitor() { xl qemu-monitor-command hvm "$*"; }

virtio_rng_is_added_while_it_runs() {
	within 400 says hvm 'more' || return 1
	monitor "chardev-add socket,path=/run/ekey-random/egd,id=egd2"
	monitor "object_add rng-egd,chardev=egd2,id=rng2"
	monitor "device_add virtio-rng-pci,rng=rng2,id=added2"
	monitor "object_add rng-random,filename=$device,id=rng3"
	monitor "device_add virtio-rng-pci,rng=rng3,id=added3"
}

seed_is_left_on_order() { within 400 says hvm waits && leave_seed hvm; }

start_xen
make_initrd initrd "$build/ekey-feed" "$build/ekey-randomd" "$build/tests/rig/xen_probe"
start_key "$rig_rate" 0 --blocks $slow
start_server
guests="pv pvh"
guest pv pv channel destroy
until_true grep -q ok /run/guest-pv.log # what is timed there has an end
guest pvh pvh daemon destroy
promise both_start_together both_start_together
if [ "$rig_part" = all ]; then
	promise guests_share_evenly guests_share_evenly
	end "$sim" TERM
	start_key 0 $slow
fi
wait_for pv pvh
if [ "$rig_part" = all ]; then
	end "$sim" TERM
	start_key $((rig_rate * 2)) $fast
	promise guest_is_seeded_before_it_runs guest_is_seeded_before_it_runs
	guests="$guests hvm"
	guest hvm hvm hardware destroy # takes long to start, under the restarts
	promise guest_gets_its_bytes_over_restarts_and_kills guest_gets_its_bytes_over_restarts_and_kills
	wait_for pv
	promise virtio_rng_is_added_while_it_runs virtio_rng_is_added_while_it_runs
	promise seed_is_left_on_order seed_is_left_on_order
	wait_for hvm
fi
promise no_byte_is_in_two_guests no_byte_is_in_two_guests
end "$daemon" TERM
end "$sim" TERM
said /run/xen.log
exit 0
