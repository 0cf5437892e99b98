#!/bin/sh
# Runs as root in the dom0 of tests/rig/xen.py (test_xen.py): a simulated key, the daemon, and guests
# that it serves over their channels.
# rig_bytes: that each guest asks for; rig_rate: of the key, in frames per second, 0: any
. "${0%/*}/promises.sh"
seed=xen
span=$((rig_bytes * 3 + 262144))

start_xen() {
	mount -t xenfs xen /proc/xen
	mkdir -p /dev/pts /run/xen /run/xenstored /run/lock
	mount -t devpts pts /dev/pts
	for module in xen-evtchn xen-gntdev xen-gntalloc xen-privcmd; do
		modprobe $module
	done
	xenstored --pid-file /run/xenstored.pid
	/usr/lib/xen-*/bin/xen-init-dom0 >/dev/null
	xenconsoled --log=guest --log-dir=/run --pid-file=/run/xenconsoled.pid
}

# make_initrd PROGRAM...: what the guests have, with the libraries of these.
make_initrd() {
	mkdir -p /run/g/bin /run/g/rig
	cp /usr/bin/busybox /run/g/bin/
	cp /rig/xen_guest.sh /run/g/init
	cp /rig/promises.sh /run/g/rig/
	for program; do
		echo "$program"
		ldd "$program" | sed -n 's/.* => \(.*\) (.*/\1/p; s/^\t\(\/.*\) (.*/\1/p'
	done | sort -u | while read -r file; do
		mkdir -p "/run/g${file%/*}"
		cp -L "$file" "/run/g$file"
	done
	mkdir -p /run/g/etc
	echo /rig/lib >/run/g/etc/ld.so.conf
	ldconfig -r /run/g
	(cd /run/g && find . | busybox cpio -o -H newc >/run/initrd 2>/dev/null)
}

# start_key: its pid in $sim.
start_key() {
	"$build/ekey-sim" --listen unix:/run/key --rate "$rig_rate" --seed $seed --keyring /run/keyring \
		>>/run/sim.log 2>&1 &
	sim=$!
	until_true test -s /run/keyring -a -S /run/key
	chmod 666 /run/keyring /run/key # for the user that the daemon becomes
}

# As somebody who may not connect to QEMU's sockets.
start_server() {
	cat >/run/xen.conf <<-END
		[daemon]
		user = daemon
		keyring = /run/keyring
		control = /run/xen.control
		[pool]
		size = 16KiB
		[source key]
		type = ekey
		address = unix:/run/key
		[listen guests]
		address = xen:/run/xen
	END
	"$build/ekey-randomd" -c /run/xen.conf >>/run/xen.log 2>&1 &
	daemon=$!
	until_true "$build/ekeyctl" --socket /run/xen.control status >/dev/null
}

# guest NAME TYPE WAY [-p]: -p leaves it paused
guest() {
	words="rig_seed=$seed rig_bytes=$rig_bytes rig_span=$span rig_way=$3"
	sed "s/@name@/$1/g; s/@type@/$2/; s/@words@/$words/" \
		>"/run/$1.cfg" <<-'END'
		name = "@name@"
		type = "@type@"
		memory = 160
		vcpus = 1
		tsc_mode = "native"
		kernel = "/guest/vmlinux"
		ramdisk = "/run/initrd"
		cmdline = "console=hvc0 quiet loglevel=3 random.trust_cpu=off panic=1 @words@"
		on_poweroff = "destroy"
		on_reboot = "destroy"
		on_crash = "destroy"
		channel = [ "connection=pty,name=unused", "connection=socket,path=/run/xen/ekey-@name@,name=org.ekey-random.egd" ]
	END
	timeout 60 xl create -q ${4:-} "/run/$1.cfg" 2>&1 | grep -v 'Primary console has invalid'
}

guest_is_done() { grep -q '^guest: done' "/run/guest-$1.log" && ! xl domid "$1" >/dev/null 2>&1; }

# wait_for NAME...: a minute and more for each.
wait_for() {
	for name; do
		until_true guest_is_done "$name" || until_true guest_is_done "$name" || xl list
		tr -d '\r' <"/run/guest-$name.log" >"/run/$name.said"
		promises "$name" grep -v '^# \(took\|at\) ' "/run/$name.said"
	done
}

is_ready() { grep -q '^guest: ready' "/run/guest-$1.log"; }

both_start_together() {
	for name in pv pvh; do
		until_true is_ready $name || until_true is_ready $name
	done
	for name in pv pvh; do
		"$build/ekeyctl" --socket /run/xen.control xen-seed $name || return 1
	done
}

# Pieces of the key's stream, "FROM TO", of one guest.
pieces() { sed -n 's/^# took \([0-9]* [0-9]*\)$/\1/p' "/run/$1.said"; }

# A piece may seem to go on for some bytes where another begins, by chance: see stream.c.
no_byte_is_in_two_guests() {
	{ pieces pv; pieces pvh; } | sort -n | awk '
		$1 + 7 < had { print "twice: " $1 " to " had; bad = 1 }
		{ had = $2; n += $2 - $1 }
		END { print n " bytes in " NR " pieces"; exit bad || NR < 2 }'
}

# progress NAME: "MS BYTES" as it went.
progress() { sed -n "s/^# at \([0-9]* [0-9]*\)$/\1/p" "/run/$1.said"; }

# While both asked for what the key could not give them: in the middle half of that time.
guests_share_evenly() {
	progress pv >/run/a
	progress pvh >/run/b
	awk '
		{ t[FILENAME, ++n[FILENAME]] = $1; had[FILENAME, n[FILENAME]] = $2 }
		function at(f, ms, i) { for (i = 1; i < n[f] && t[f, i + 1] <= ms; i++); return had[f, i] }
		END {
			a = "/run/a"; b = "/run/b"
			from = t[a, 1] > t[b, 1] ? t[a, 1] : t[b, 1]
			to = t[a, n[a]] < t[b, n[b]] ? t[a, n[a]] : t[b, n[b]]
			quarter = (to - from) / 4
			from += quarter; to -= quarter
			x = at(a, to) - at(a, from); y = at(b, to) - at(b, from)
			print x " and " y " bytes in " (to - from) " ms"
			exit !(x > y * 0.75 && y > x * 0.75)
		}' /run/a /run/b
}

# The same guest, in another life.
guest_is_seeded_before_it_runs() {
	rm /run/guest-pv.log
	guest pv pv seed -p
	"$build/ekeyctl" --socket /run/xen.control xen-seed pv && xl unpause pv
}

start_xen
make_initrd "$build/ekey-feed" "$build/ekey-randomd" "$build/tests/rig/xen_probe"
start_key
start_server
guest pv pv channel
until_true grep -q ok /run/guest-pv.log # what is timed there has an end
guest pvh pvh daemon
promise both_start_together both_start_together
wait_for pv pvh
[ "$rig_rate" = 0 ] || promise guests_share_evenly guests_share_evenly
promise no_byte_is_in_two_guests no_byte_is_in_two_guests
promise guest_is_seeded_before_it_runs guest_is_seeded_before_it_runs
wait_for pv
end $daemon TERM
end $sim KILL
said /run/xen.log
exit 0
