"""What the guests of qemu.py boot from: made once by image.sh and kept in the cache of the user."""

import fcntl
import hashlib
import os
import pathlib
import platform
import re
import shutil
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
SUITES = ["bookworm", "trixie"]  # oldest first
QEMU = "qemu-system-x86_64"
TOOLS = {"mmdebstrap": "mmdebstrap", "mkfs.ext4": "e2fsprogs", "modprobe": "kmod", "xz": "xz-utils",
         "zstd": "zstd"}
PARTS = ["vmlinuz", "vmlinux", "root.img", "boot/modules", "rng/modules"]
MORE_PARTS = {"": [], "xen": ["xen"]}  # by image.sh's kind
MAKE_LIMIT_S = 600
OUT_OF_REACH = 3  # image.sh: the packages cannot be had here
KEPT_S = 14 * 86400  # after its last use; others may boot from it now


class Lack(Exception):
    """What keeps the guests from running here: no fault of what they are to test."""


def host_suite():
    return platform.freedesktop_os_release().get("VERSION_CODENAME")


def guest_suite():
    """SUITE, else what the programs were built on."""
    suite = os.environ.get("SUITE") or (host_suite() if host_suite() in SUITES else SUITES[0])
    if suite not in SUITES:
        raise ValueError(f"SUITE={suite}: one of {', '.join(SUITES)}")
    return suite


def check_host():
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if platform.machine() != "x86_64":
        raise Lack("an amd64 machine: the guests are")
    if not shutil.which(QEMU):
        raise Lack(f"{QEMU} (package qemu-system-x86)")
    if host_suite() not in SUITES:
        raise Lack(f"Debian {' or '.join(SUITES)}: the programs of another do not run in them")
    if SUITES.index(host_suite()) > SUITES.index(guest_suite()):
        raise Lack(f"a host that is not newer than {guest_suite()}: its programs run there")


def check_tools():
    for tool, package in TOOLS.items():
        if not shutil.which(tool):
            raise Lack(f"{tool} (package {package}), to make their image")
    if os.geteuid() != 0:
        raise Lack("root, to make their image, which is not in the cache yet")


def folder_of(suite, kind):
    """By all that the image is made from, as far as this machine's apt knows the suite."""
    known = subprocess.run(
        ["apt-cache", "policy", "linux-image-amd64", "systemd", "udev", "kmod", "libc6", "xen-utils-common"],
        stdout=subprocess.PIPE, text=True, check=False, timeout=60,
    ).stdout
    versions = re.findall(r"Candidate: (.*)", known)
    text = (HERE / "image.sh").read_text() + suite + kind + " ".join(versions)
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    key = hashlib.sha256(text.encode()).hexdigest()[:12]
    return cache / "ekey-random" / f"rig-{suite}{kind}-{key}"


def whole(folder, kind):
    """image.sh renames it into its place when it is done; somebody may have tidied since."""
    return all((folder / part).is_file() for part in PARTS + MORE_PARTS[kind])


def make(suite, folder, kind):
    check_tools()
    shutil.rmtree(folder, ignore_errors=True)
    made = subprocess.run(
        [HERE / "image.sh", suite, folder, *[kind][:len(kind)]], timeout=MAKE_LIMIT_S, check=False, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    if made.returncode == OUT_OF_REACH:
        *details, reason = made.stdout.strip().splitlines()
        print(*details, sep="\n")
        raise Lack(f"their image, and {reason}")
    if made.returncode != 0 or not whole(folder, kind):
        raise RuntimeError(f"image.sh: exit {made.returncode}\n{made.stdout}")


def remove_old(cache):
    for old in cache.glob("rig-*-*"):
        if time.time() - old.stat().st_mtime > KEPT_S:
            shutil.rmtree(old, ignore_errors=True)


def get(kind=""):
    """The folder with the PARTS of a kind, made if need be. Raises Lack, or what went wrong."""
    check_host()
    suite = guest_suite()
    folder = folder_of(suite, kind)
    if not whole(folder, kind):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with open(folder.parent / "rig.lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not whole(folder, kind):
                remove_old(folder.parent)
                make(suite, folder, kind)
    if os.access(folder, os.W_OK):
        os.utime(folder)
    return folder
