"""Boots Debian's stock kernel in QEMU, by emulation only, and runs one program in it as root.

What it boots from is made once by image.sh and kept in the cache of the user; the programs of the
build go in on a disk of their own, with the libraries that they were linked with. The guest is
disposable: nothing that it writes is kept, and nothing outlives the call.
"""

import fcntl
import hashlib
import io
import os
import pathlib
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile

import uml

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
SUITES = ["bookworm", "trixie"]  # oldest first
QEMU = "qemu-system-x86_64"
MEMORY_MIB = 640
IMAGE_LIMIT_S = 600
TOOLS = {QEMU: "qemu-system-x86", "mmdebstrap": "mmdebstrap", "mkfs.ext4": "e2fsprogs",
         "modprobe": "kmod", "xz": "xz-utils"}

# The guest has its own of these, which belong to its loader and its systemd.
GUEST_LIBRARIES = re.compile(r"(ld-linux|libc|libm|libdl|librt|libpthread|libudev|libsystemd)\b")

# Units of a full boot that no test needs.
MASKED = [
    *(f"{unit}.service" for unit in (
        "e2scrub_reap", "getty-static", "serial-getty@ttyS0", "modprobe@efi_pstore", "modprobe@drm",
        "modprobe@dm_mod", "modprobe@loop", "systemd-networkd", "systemd-timesyncd",
        "systemd-random-seed", "systemd-update-utmp", "systemd-remount-fs", "systemd-pcrphase",
        "systemd-pcrphase-sysinit", "systemd-hwdb-update", "ldconfig")),
    *(f"{unit}.timer" for unit in ("apt-daily", "apt-daily-upgrade", "dpkg-db-backup", "fstrim",
                                   "e2scrub_all")),
    *(f"{unit}.mount" for unit in ("dev-hugepages", "dev-mqueue", "sys-kernel-debug",
                                   "sys-kernel-tracing")),
    "getty.target",
]


def host_suite():
    return platform.freedesktop_os_release().get("VERSION_CODENAME")


def guest_suite():
    """SUITE, else what the programs were built on."""
    suite = os.environ.get("SUITE") or (host_suite() if host_suite() in SUITES else SUITES[0])
    if suite not in SUITES:
        raise ValueError(f"SUITE={suite}: one of {', '.join(SUITES)}")
    return suite


def missing(kind=""):
    """What keeps the rig from running here, or None."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if platform.machine() != "x86_64":
        return "an amd64 machine: the guests are"
    if not shutil.which(QEMU):
        return f"{QEMU} (package {TOOLS[QEMU]})"
    if host_suite() not in SUITES:
        return f"Debian {' or '.join(SUITES)}: the programs of another do not run in its guests"
    if SUITES.index(host_suite()) > SUITES.index(guest_suite()):
        return f"a host that is not newer than {guest_suite()}, so that its programs run there"
    if image_dir(guest_suite(), kind).exists():
        return None
    for tool, package in TOOLS.items():
        if not shutil.which(tool):
            return f"{tool} (package {package})"
    return None if os.geteuid() == 0 else "root, to make the image that is not in the cache yet"


def image_dir(suite, kind=""):
    """Where the image is, or is to be: by all that it is made from. Kinds are image.sh's."""
    known = subprocess.run(
        ["apt-cache", "policy", "linux-image-amd64", "systemd", "udev", "kmod", "xen-utils-common"],
        stdout=subprocess.PIPE, text=True, check=False, timeout=60,
    ).stdout
    versions = re.findall(r"Candidate: (.*)", known)
    text = (HERE / "image.sh").read_text() + suite + " ".join(versions)
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    key = hashlib.sha256(text.encode()).hexdigest()[:12]
    return cache / "ekey-random" / f"rig{kind}-{suite}-{key}"


def image(suite, kind=""):
    """The image's folder, made if need be; older ones of the suite go."""
    folder = image_dir(suite, kind)
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.parent / "rig.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            for old in folder.parent.glob(f"rig{kind}-{suite}-*"):
                shutil.rmtree(old)
            made = subprocess.run(
                [HERE / "image.sh", suite, folder, *filter(None, [kind])], timeout=IMAGE_LIMIT_S, check=False, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )
            if made.returncode != 0:
                raise RuntimeError(f"image.sh: exit {made.returncode}\n{made.stdout}")
    return folder


def libraries(programs):
    """Paths of the shared libraries that these programs need and the guest may lack."""
    listed = subprocess.run(
        ["ldd", *programs], stdout=subprocess.PIPE, text=True, check=False, timeout=60
    ).stdout
    found = {name: pathlib.Path(path) for name, path in re.findall(r"(\S+) => (/\S+)", listed)}
    return {name: path for name, path in found.items() if not GUEST_LIBRARIES.match(name)}


def pack(build, tree, to):
    """Writes the archive that the guest unpacks onto its root: /rig, and what `tree` holds."""
    programs = [build / name for name in (
        "ekey-randomd", "ekeyctl", "ekey-sim", "ekey-feed", "tests/system/readers", "tests/rig/init",
        "tests/rig/xen_probe")]
    with tarfile.open(to, "w", dereference=False) as archive:
        for program in programs:
            archive.add(program, f"rig/{program.relative_to(build)}")
        for job in HERE.glob("*.sh"):
            archive.add(job, f"rig/{job.name}")
        for name, library in libraries(programs).items():
            archive.add(library.resolve(), f"rig/lib/{name}")
        conf = b"/usr/lib/x86_64-linux-gnu\n/rig/lib\n"  # the guest's own first
        entry = tarfile.TarInfo("etc/ld.so.conf.d/rig.conf")
        entry.size = len(conf)
        archive.addfile(entry, io.BytesIO(conf))
        for path in sorted(pathlib.Path(tree).iterdir()) if tree else []:
            archive.add(path, path.name)


def newc(files):
    """An archive of cpio's "newc" format: [(name, mode, bytes)]."""
    out = bytearray()
    for name, mode, data in [*files, ("TRAILER!!!", 0, b"")]:
        fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        out += b"\0" * (-len(out) % 4) + data
        out += b"\0" * (-len(out) % 4)
    return bytes(out)


def first_files(build, folder):
    yield "init", 0o100755, (build / "tests/rig/boot").read_bytes()
    for file in sorted(folder.iterdir()):
        yield file.name, 0o100644, file.read_bytes()


def boot(build, job, limit, tree=None, systemd=False, **words):
    """Runs `job` (a script of this folder) and returns a Run.

    `words` become its environment, or with `systemd` the kernel's command line, where a unit in
    `tree`, files for the guest's root, has to start it.
    """
    folder = image(guest_suite())
    with tempfile.TemporaryDirectory(prefix="rig.") as home:
        home = pathlib.Path(home)
        pack(build, tree, home / "programs.tar")
        (home / "first.cpio").write_bytes(newc(first_files(build, folder / "boot")))
        words = {
            "init": "/lib/systemd/systemd" if systemd else "/rig/tests/rig/init",
            "job": f"/rig/{job}", "build": "/rig", **words,
        }
        line = [
            "console=ttyS0 quiet loglevel=2 panic=-1 mitigations=off nokaslr audit=0",
            *(f"rig_{name}={value}" for name, value in words.items()),
            *(f"systemd.mask={unit}" for unit in MASKED if systemd),
        ]
        command = [
            QEMU, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", str(MEMORY_MIB),
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
            "-kernel", folder / "vmlinuz", "-initrd", home / "first.cpio",
            "-append", " ".join(line),
            "-drive", f"file={folder}/root.img,if=virtio,format=raw,snapshot=on,cache=unsafe",
            "-drive", f"file={home}/programs.tar,if=virtio,format=raw,readonly=on",
        ]
        return uml.watch(command, {**os.environ, "TMPDIR": str(home)}, limit)
