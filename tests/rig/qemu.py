"""Boots Debian's stock kernel in QEMU, by emulation only, and runs one program in it as root.

The programs of the build go in on a disk of their own, with the libraries that they were linked
with. The guest is disposable: nothing that it writes is kept, and nothing outlives the call.
"""

import dataclasses
import io
import os
import pathlib
import re
import selectors
import subprocess
import tarfile
import tempfile
import time

import image

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLES = HERE.parents[1] / "doc/examples"
MEMORY_MIB = 640
BOOT_LIMIT_S = 600
# Of each kernel. On a busy machine the timer's first interrupts can come too late for its check.
LINE = "console=ttyS0 quiet loglevel=2 panic=-1 mitigations=off nokaslr audit=0 no_timer_check"
BEGUN = b"rig: begun"  # the first line of each job (promises.sh)

# The guest has its own of these, which belong to its loader and its systemd.
GUEST_LIBRARIES = re.compile(r"(ld-linux|libc|libm|libdl|librt|libpthread|libudev|libsystemd)\b")

# Units of a full boot that no test needs.
MASKED = [
    *(f"{unit}.service" for unit in (
        "e2scrub_reap", "getty-static", "serial-getty@ttyS0", "modprobe@efi_pstore", "modprobe@drm",
        "modprobe@dm_mod", "modprobe@loop", "systemd-networkd", "systemd-timesyncd",
        "systemd-random-seed", "systemd-update-utmp", "systemd-remount-fs", "systemd-pcrphase",
        "systemd-pcrphase-sysinit", "systemd-hwdb-update", "ldconfig", "rngd", "ekeyd-egd-linux")),
    *(f"{unit}.timer" for unit in ("apt-daily", "apt-daily-upgrade", "dpkg-db-backup", "fstrim",
                                   "e2scrub_all")),
    *(f"{unit}.mount" for unit in ("dev-hugepages", "dev-mqueue", "sys-kernel-debug",
                                   "sys-kernel-tracing")),
    "getty.target",
]


@dataclasses.dataclass
class Run:
    """What one boot left: `exit` is None when the job did not end within the limit."""

    exit: int | None
    output: str
    boot_s: float  # until its job began: what all limits are factors of
    seconds: float

    def results(self):
        return results(self.output)


def results(output):
    """{name: complaint or None} from the lines "ok NAME" and "not ok NAME: complaint"."""
    found = {}
    for line in output.splitlines():
        if match := re.fullmatch(r"(not )?ok ([\w.-]+)(?:: (.*))?", line.strip()):
            found[match[2]] = (match[3] or "no reason given") if match[1] else None
    return found


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
        "ekey-randomd", "ekey-tls", "ekeyctl", "ekey-sim", "ekey-feed", "tests/system/probe", "tests/system/readers",
        "tests/system/successions", "tests/other/ekey-randomd-table", "tests/rig/init",
        "tests/rig/pool_probe", "tests/rig/xen_probe")]
    with tarfile.open(to, "w", dereference=False) as archive:
        for program in programs:
            archive.add(program, f"rig/{program.relative_to(build)}")
        for job in HERE.glob("*.sh"):
            archive.add(job, f"rig/{job.name}")
        archive.add(HERE.parent / "system/manager.py", "rig/manager.py")
        for example in EXAMPLES.glob("xen-*.cfg"):
            archive.add(example, f"rig/{example.name}")
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


def first_files(build, folder, program="boot"):
    yield "init", 0o100755, (build / "tests/rig" / program).read_bytes()
    for file in sorted(folder.iterdir()):
        yield file.name, 0o100644, file.read_bytes()


def boot(build, job, boots, tree=None, systemd=False, devices=(), arguments=(), **words):
    """Runs `job` (a script of this folder) and returns a Run. It may take as long as `boots` boots do.

    `words` become its environment, or with `systemd` the kernel's command line, where a unit in
    `tree`, files for the guest's root, has to start it. `devices` are more of QEMU's words,
    `arguments` more of the kernel's.
    """
    folder = image.get()
    with tempfile.TemporaryDirectory(prefix="rig.") as home:
        home = pathlib.Path(home)
        pack(build, tree, home / "programs.tar")
        (home / "first.cpio").write_bytes(newc(first_files(build, folder / "boot")))
        words = {
            "init": "/lib/systemd/systemd" if systemd else "/rig/tests/rig/init",
            "job": f"/rig/{job}", "build": "/rig", **words,
        }
        line = [
            LINE,
            *arguments,
            *(f"rig_{name}={value}" for name, value in words.items()),
            *(f"systemd.mask={unit}" for unit in MASKED if systemd),
        ]
        command = [
            "setpriv", "--pdeathsig", "KILL",
            image.QEMU, "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", str(MEMORY_MIB),
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
            "-kernel", folder / "vmlinuz", "-initrd", home / "first.cpio",
            "-append", " ".join(line),
            "-drive", f"file={folder}/root.img,if=virtio,format=raw,snapshot=on,cache=unsafe",
            "-drive", f"file={home}/programs.tar,if=virtio,format=raw,readonly=on",
            *devices,
        ]
        return watch(command, {**os.environ, "TMPDIR": str(home)}, boots)


def watch(command, env, boots, boot_limit_s=BOOT_LIMIT_S):
    """The Run of this QEMU, which is ended when its job takes longer than `boots` times its boot."""
    started = time.monotonic()
    machine = subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    output, boot_s = b"", 0
    with machine, selectors.DefaultSelector() as selector:
        selector.register(machine.stdout, selectors.EVENT_READ)
        limit_s = boot_limit_s
        while (left_s := started + limit_s - time.monotonic()) > 0:
            if not selector.select(left_s):
                continue
            piece = os.read(machine.stdout.fileno(), 65536)
            output += piece
            if not piece:
                break
            if not boot_s and BEGUN in output:
                boot_s = time.monotonic() - started
                limit_s = boots * boot_s
        machine.kill()
    text = re.sub("\r+\n", "\n", output.decode(errors="replace"))
    ended = re.search(r"^rig: exit (\d+)$", text, re.M)
    return Run(int(ended[1]) if ended else None, text, boot_s, time.monotonic() - started)
