#!/bin/sh
# `make run SECONDS=5` and `make test` in a fresh Debian root with nothing but make and git: what a
# stranger does, from a clone of what is committed here. Needs root, mmdebstrap and the network.
# The root is made once; the packages are installed anew each time. SUITE=trixie tries another.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
suite=${SUITE:-bookworm}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/ekey-random
base=$cache/$suite-make-git.tar

for need in mmdebstrap unshare chroot git; do
	command -v $need >/dev/null || { echo "fresh: $need is missing" >&2; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "fresh: root is needed, to make a root of its own" >&2; exit 1; }

mkdir -p "$cache"
if [ ! -s "$base" ]; then
	echo "fresh: making $base"
	"$top/tests/apt_sources.sh" "$suite" |
		mmdebstrap --quiet --format=tar --variant=minbase --include=make,git "$suite" "$base.new" -
	mv "$base.new" "$base"
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/fresh.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
root=$work/root
mkdir "$root"
tar -C "$root" -xf "$base"
cp -a /etc/apt/. "$root/etc/apt/"
rm -rf "$root"/etc/apt/sources.list*
"$top/tests/apt_sources.sh" "$suite" >"$root/etc/apt/sources.list"
cp /etc/resolv.conf "$root/etc/resolv.conf"
git -c safe.directory='*' clone --quiet "$top" "$root/root/ekey-random"

# Mounts and processes of its own: nothing of either is left when it ends. The root is that of its
# mounts, for in a chroot nobody can make namespaces of users.
# shellcheck disable=SC2016
inside='
mount --bind "$1" "$1" && cd "$1" && mount -t proc proc proc && mount --rbind /dev dev &&
	mount --rbind /sys sys && mount -t tmpfs run run && pivot_root . mnt || exit 1
exec chroot . /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb \
	http_proxy="${http_proxy-}" https_proxy="${https_proxy-}" \
	sh -euc "umount -l /mnt; cd /root/ekey-random; $2"
'
step() {
	began=$(date +%s)
	echo "fresh: $1"
	unshare --mount --pid --fork --kill-child sh -c "$inside" sh "$root" "$1"
	echo "fresh: $1 took $(($(date +%s) - began)) s"
}
[ $# -eq 0 ] || { step "$1"; exit; }
step "make run SECONDS=5"
step "make test"
