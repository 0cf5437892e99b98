#!/bin/sh
# Makes what the guests of tests/rig/qemu.py boot from: image.sh SUITE DIR [xen], as root
#
#   DIR/vmlinuz   Debian's stock kernel, from its package; nothing is installed on this machine
#   DIR/vmlinux   the same unpacked, which takes long where the processor is emulated
#   DIR/root.img  Debian's minimal userland with systemd and udev, as ext4
#   DIR/boot/     the modules that find the root, and /modules, their order
#   DIR/rng/      the same for a guest that is its first program alone (tests/rig/rng_guest.py)
# With "xen" (tests/rig/xen.py) the userland is a dom0's, and beside it are
#   DIR/xen       the hypervisor
#
# Packages come from this machine's own apt sources, for SUITE. DIR appears whole or not at all.
# Exits with 3 and one line when the packages are out of reach.
set -eu
suite=$1
out=$2
kind=${3:-}
packages=systemd,systemd-sysv,udev,kmod,procps
# What the first program loads to find the root; what the tests and systemd ask for later.
boot_modules="virtio_pci virtio_blk crc32c_generic ext4"
rng_modules="virtio_pci virtio_console virtio_rng"
modules="$boot_modules fuse cuse cdc_acm vhci_hcd dummy_hcd usb_f_acm autofs4
	virtio_rng virtio_console vsock_loopback"
size=640M
if [ "$kind" = xen ]; then
	packages=$packages,xen-system-amd64,xen-utils-common,xenstore-utils,qemu-system-xen,busybox-static,grub-pc-bin,python3-minimal
	modules="$boot_modules fuse cuse xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs virtio_rng"
	size=1G
else
	# Readers of our devices, and Debian's client of EGD. The services of two of them are masked (qemu.py).
	packages=$packages,openssl,dieharder,python3-minimal,rng-tools5,ekeyd-egd-linux
fi

sources=$("${0%/*}/../tools/apt_sources.sh" "$suite")

out_of_reach() {
	echo "$1"
	exit 3
}

# The first of them that is no update of another.
can_fetch() {
	echo "$sources" | awk -v s="$suite" '$3 == s { sub("/*$", "", $2); print $2 "/dists/" s "/InRelease"; exit }' | {
		read -r address &&
			/usr/lib/apt/apt-helper -qq -o APT::Sandbox::User=root -o Acquire::Retries=1 \
				-o Acquire::http::Timeout=20 download-file "$address" "$work/InRelease"
	} >&2
}

[ -n "$sources" ] || out_of_reach "there is no Debian among the apt sources"

mkdir -p "${out%/*}"
work=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
can_fetch || out_of_reach "apt cannot fetch Debian's packages for it: is there a network?"
root=$work/root
kernel=$work/kernel

# The hook asks the new root's apt, which knows the suite's packages, and unpacks beside the root.
# shellcheck disable=SC2016
unpack_kernel='set -e
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
package=$(apt-cache depends linux-image-amd64 | sed -n "s/.*Depends: \(linux-image-[0-9].*\)/\1/p")
cd "$(dirname "$1")" && chmod 755 .
apt-get -qq download "$package" && dpkg-deb -x "$package"_*.deb kernel'

# unpack_payload VMLINUZ: where and how long it is says the header of Linux's boot protocol.
unpack_payload() {
	sectors=$(od -An -tu1 -j 497 -N 1 "$1")
	offset=$(od -An -tu4 -j 584 -N 4 "$1")
	length=$(od -An -tu4 -j 588 -N 4 "$1")
	tail -c +$(((sectors + 1) * 512 + offset + 1)) "$1" | head -c $((length - 4)) >"$work/payload"
	case $(od -An -tx1 -N 4 "$work/payload") in
	*"28 b5 2f fd") zstd -dcq "$work/payload" ;;
	*) xz -dc "$work/payload" ;;
	esac
}
echo "$sources" | TMPDIR=$work mmdebstrap --quiet --mode=root --variant=essential --format=directory \
	--include="$packages" --aptopt='APT::Install-Recommends "false"' \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
	--customize-hook="$unpack_kernel" "$suite" "$root" - >&2

# Debian 13 has no /lib in its packages any more.
[ -e "$kernel/lib" ] || ln -s usr/lib "$kernel/lib"
version=$(ls "$kernel/lib/modules")
depmod -b "$kernel" "$version"

# needed NAME...: the files of these modules and of those they need, in the order of loading.
needed() {
	for name; do
		modprobe -d "$kernel" -S "$version" --show-depends "$name"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

# put_modules DIR NAME...: unpacked there, in the order that DIR/modules has.
put_modules() {
	dir=$1
	shift
	mkdir -p "$dir"
	for file in $(needed "$@"); do
		name=$(basename "${file%.xz}")
		case $file in
		*.xz) xz -dc "$file" >"$dir/$name" ;;
		*) cp "$file" "$dir/$name" ;;
		esac
		echo "/$name" >>"$dir/modules"
	done
}

put_modules "$work/boot" $boot_modules
put_modules "$work/rng" $rng_modules

for file in $(needed $modules); do
	to=$root/lib/modules/${file#"$kernel"/lib/modules/}
	mkdir -p "${to%/*}"
	cp "$file" "$to"
done
cp "$kernel/lib/modules/$version"/modules.builtin* "$kernel/lib/modules/$version/modules.order" \
	"$root/lib/modules/$version"
depmod -b "$root" "$version"

echo guest >"$root/etc/hostname"
echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
echo '/dev/vda / ext4 rw 0 0' >"$root/etc/fstab"
unpack_payload "$kernel/boot/vmlinuz-$version" >"$work/vmlinux"
if [ "$kind" = xen ]; then
	zcat "$root"/boot/xen-*-amd64.gz >"$work/xen"
	mkdir -p "$root/guest"
	cp "$work/vmlinux" "$kernel/boot/vmlinuz-$version" "$root/guest/"
	ln -s "vmlinuz-$version" "$root/guest/vmlinuz"
fi
truncate -s $size "$work/root.img"
mkfs.ext4 -q -F -O ^has_journal -E lazy_itable_init=1 -d "$root" "$work/root.img"
cp "$kernel/boot/vmlinuz-$version" "$work/vmlinuz"

rm -rf --one-file-system "$root" "$kernel" "$work/InRelease" "$work/payload" "$work"/*.deb
sync "$work/root.img" "$work"/vmlinu? "$work"/boot/* "$work"/rng/*
mv -T "$work" "$out"
