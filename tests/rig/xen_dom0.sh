# What the jobs of tests/rig/xen.py share, beside promises.sh: Xen's own daemons, a simulated key
# and our daemon in dom0, and guests. Sourced.
#   rig_span: bytes of the key's stream that are known in the guests
seed=xen

start_xen() {
	mount -t xenfs xen /proc/xen
	mkdir -p /dev/pts /run/xen /run/ekey-random /run/xenstored /run/lock /var/log/xen
	mount -t devpts pts /dev/pts
	for module in xen-evtchn xen-gntdev xen-gntalloc xen-privcmd cuse; do
		modprobe $module
	done
	xenstored --pid-file /run/xenstored.pid
	/usr/lib/xen-*/bin/xen-init-dom0 >/dev/null
	xenconsoled --log=guest --log-dir=/run --pid-file=/run/xenconsoled.pid
}

# ---- what guests boot from ----
# make_initrd NAME PROGRAM...: as /run/NAME what guests have, with the libraries of these.
make_initrd() {
	tree=/run/tree.$1
	name=$1
	shift
	mkdir -p $tree/bin $tree/rig $tree/etc
	cp /usr/bin/busybox $tree/bin/
	cp /rig/xen_guest.sh $tree/init
	cp /rig/promises.sh $tree/rig/
	for program; do
		echo "$program"
		ldd "$program" | sed -n 's/.* => \(.*\) (.*/\1/p; s/^\t\(\/.*\) (.*/\1/p'
	done | sort -u | while read -r file; do
		mkdir -p "$tree${file%/*}"
		cp -L "$file" "$tree$file"
	done
	modprobe -a --show-depends virtio_pci virtio_rng | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
		while read -r file; do
			cp "$file" $tree/rig/
			echo "/rig/${file##*/}" >>$tree/rig/modules
		done
	echo /rig/lib >$tree/etc/ld.so.conf
	ldconfig -r $tree
	(cd $tree && find . | busybox cpio -o -H newc >"/run/$name" 2>/dev/null)
}

sectors() { echo $((($(stat -Lc %s "$1") + 511) / 512)); }

# put FILE SECTOR: onto the disk.
put() { dd if="$1" of=/run/disk bs=1M oflag=seek_bytes seek=$(($2 * 512)) conv=notrunc status=none; }

# make_disk WORD...: with a boot loader, the kernel and an initrd, each in one piece at an address.
# From a disk, for what xl is told to boot an HVM guest from goes there byte by byte through QEMU;
# and small, for a BIOS reads it by 16 KiB, each of which takes a while here.
make_disk() {
	make_initrd small "$build/ekey-feed" "$build/tests/rig/xen_probe"
	gzip -1 /run/small
	kernel_at=2048
	initrd_at=$((kernel_at + $(sectors /guest/vmlinuz)))
	cat >/run/grub.cfg <<-END
		linux (hd0)$kernel_at+$(sectors /guest/vmlinuz) $*
		initrd (hd0)$initrd_at+$(sectors /run/small.gz)
		boot
	END
	grub-mkimage -O i386-pc -p / -c /run/grub.cfg -o /run/core biosdisk linux
	: >/run/disk
	put /usr/lib/grub/i386-pc/boot.img 0
	put /run/core 1
	put /guest/vmlinuz $kernel_at
	put /run/small.gz $initrd_at
	truncate -s $(((initrd_at + $(sectors /run/small.gz)) * 512)) /run/disk
}

# ---- the host's side ----
# start_key RATE FIRST [OPTION...]: the same key, from that block of its stream on; its pid in $sim.
start_key() {
	rm -f /run/key
	rate=$1
	first=$2
	shift 2
	"$build/ekey-sim" --listen unix:/run/key --rate "$rate" --seed $seed --first-block "$first" "$@" \
		--ltk "$(printf %064d 1)" --keyring /run/key.ring >>/run/sim.log 2>&1 &
	sim=$!
	until_true test -s /run/key.ring -a -S /run/key
	# for the user that the daemon becomes
	chgrp daemon /run/key.ring && chmod 640 /run/key.ring
	chmod 666 /run/key
}

# As somebody who may not connect to QEMU's sockets.
start_server() {
	cat >/run/xen.conf <<-END
		[daemon]
		user = daemon
		keyring = /run/key.ring
		control = /run/xen.control
		[pool]
		size = 16KiB
		[source key]
		type = ekey
		address = unix:/run/key
		[device random]
		path = $device
		via = cuse
		[listen local]
		address = unix:/run/ekey-random/egd
		greet = 64
		[listen guests]
		address = xen:/run/xen
	END
	run_managed xen
	until_true serves
}

serves() { "$build/ekeyctl" --socket /run/xen.control status >/dev/null; }
leave_seed() { "$build/ekeyctl" --socket /run/xen.control xen-seed "$1"; }
another_serves() { [ "$(daemon_now)" != "$1" ] && serves; }

# succeed HOW: until another daemon serves.
succeed() {
	previous=$(daemon_now)
	"$1" && until_true another_serves "$previous"
}

# ---- guests ----
words() { echo "rig_seed=$seed rig_bytes=$rig_bytes rig_span=$rig_span rig_way=$1"; }

arguments="console=hvc0 quiet loglevel=3 random.trust_cpu=off panic=1 mitigations=off nokaslr audit=0 no_timer_check"

# processors_of TYPE: one whose own processor is emulated by another may end in a triple fault when it
# moves, and stays where dom0 is not.
processors_of() {
	case $1 in
	pv) echo all ;;
	*) echo $(($(xl info | sed -n 's/^nr_cpus *: //p') - 1)) ;;
	esac
}

# guest NAME TYPE WAY destroy|restart [-p]: what is done when it reboots; -p leaves it paused.
# From the example that is shipped, with what it leaves to its reader.
guest() {
	{
		sed "s/web/$1/; s/^type = .*/type = \"$2\"/" /rig/xen-guest.cfg
		cat <<-END
			vcpus = 1
			cpus = "$(processors_of "$2")"
			tsc_mode = "native"
			on_poweroff = "destroy"
			on_reboot = "$4"
			on_crash = "destroy"
		END
		if [ "$2" = hvm ]; then
			hardware "$3"
		else
			cat <<-END
				memory = 160
				kernel = "/guest/vmlinux"
				ramdisk = "/run/initrd"
				cmdline = "$arguments $(words "$3")"
			END
		fi
	} >"/run/$1.cfg"
	timeout $((120 * PACE)) xl create -q ${5:-} "/run/$1.cfg" 2>&1 | grep -v 'Primary console has invalid'
}

# hardware WAY: of an HVM guest; from the other example, with its disk and a second virtio-rng.
# Its kernel would look for an AGP bridge, port by port, for half a minute.
hardware() {
	make_disk "$arguments pci=noearly" "$(words "$1")"
	cat <<-END
		memory = 256
		vga = "none"
		vnc = 0
		serial = "none"
		usb = 0
	END
	sed '/^#/d; /^name =/d; /^type =/d; s/" \]$/",/' /rig/xen-hvm.cfg
	cat <<-END
		"-object", "rng-random,filename=$device,id=rng1",
		"-device", "virtio-rng-pci,rng=rng1",
		"-drive", "file=/run/disk,if=none,id=disk,format=raw,readonly=on",
		"-device", "virtio-blk-pci,drive=disk,bootindex=0" ]
	END
}

# console_of NAME: where a line is written for its console.
console_of() { xenstore-read "/local/domain/$(xl domid "$1")/console/tty"; }

# says NAME WORDS: so far, on its console.
says() { grep -q "^guest: $2" "/run/guest-$1.log"; }

is_gone() { ! xl domid "$1" >/dev/null 2>&1; }
is_done() { says "$1" 'done' && is_gone "$1"; }

# progress NAME: "MS BYTES" as it went.
progress() { tr -d '\r' <"/run/guest-$1.log" | sed -n 's/^at \([0-9]* [0-9]*\)$/\1/p'; }

# has BYTES NAME: so many, of what it asked for.
has() { progress "$2" | awk -v n="$1" '$2 >= n { found = 1 } END { exit !found }'; }

# wait_for NAME...: two minutes and more for each.
wait_for() {
	for name; do
		within 400 is_done "$name" || xl list
		tr -d '\r' <"/run/guest-$name.log" >"/run/$name.life"
		cat "/run/$name.life" >>"/run/$name.said"
		promises "$name" grep -v '^\(# took\|at\) [0-9]' "/run/$name.life"
	done
}
