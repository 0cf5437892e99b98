#!/bin/sh
# Installs the Debian packages that a make target needs: tests/tools/packages.sh GROUP...
# Silent and quick when none is missing; installs as root; otherwise prints the command.
set -eu

packages_of() {
	case $1 in
	build) echo gcc libc6-dev make pkgconf libfuse3-dev libevent-dev libssl-dev libinih-dev \
		libseccomp-dev libusb-1.0-0-dev libsystemd-dev ;;
	run) echo fuse3 ;; # fusermount3, which lets a user without privileges publish the device
	test-unit) echo libcmocka-dev libjansson-dev mandoc python3 ;;
	test) echo python3-pytest python3-pytest-xdist ekeyd ekeyd-egd-linux fuse3 haproxy iproute2 keepalived \
		stunnel4 openssl socat netcat-openbsd perl libcrypt-random-seed-perl rng-tools5 dieharder systemd udev \
		podman crun lxc systemd-container ;;
	guest) echo qemu-system-x86 mmdebstrap e2fsprogs kmod xz-utils zstd \
		libvirt-clients libvirt-daemon-driver-qemu libxml2-utils ;;
	fuzz) echo clang libclang-rt-dev ;;
	bench) echo python3 ekeyd fuse3 openssl ;;
	analyze) echo clang-tidy-14 clang-format-14 ;;
	*) return 1 ;;
	esac
}

wanted=
for group; do
	list=$(packages_of "$group") || {
		echo "packages: no group '$group' (build run test-unit test guest fuzz bench analyze)" >&2
		exit 2
	}
	wanted="$wanted $list"
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	echo "packages: this is not a Debian system, so no package is checked or installed." >&2
	echo "packages: the next step needs the equivalents of:$wanted" >&2
	exit 0
fi

# dpkg-query fails when it does not know one of them, and still prints the others.
# shellcheck disable=SC2086
have=" $(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null |
	sed -n 's/^installed //p' | tr '\n' ' ')"
missing=
for package in $wanted; do
	case "$have$missing " in
	*" $package "*) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "packages: missing:$missing" >&2
	echo "packages: install them with:  sudo apt-get install --no-install-recommends$missing" >&2
	exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive

# Uses the present package lists; fetches them when they are absent or stale.
install() {
	# shellcheck disable=SC2086
	apt-get install -y --no-install-recommends $missing >>"$log" 2>&1 </dev/null
}
echo "packages: installing$missing"
if ! install && ! { apt-get update >>"$log" 2>&1 </dev/null && install; }; then
	cat "$log" >&2
	echo "packages: could not install:$missing" >&2
	exit 1
fi
