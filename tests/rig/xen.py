"""Boots Xen in QEMU, by emulation only, and runs one program as root in its dom0, with Debian's
stock kernel. The job starts guests of its own with xl.

The image is image.sh's of kind "xen"; the programs go in as with qemu.py. What QEMU is told not to
have, each because of what happens otherwise (QEMU 7.2, Xen 4.17): SMAP, with which a PV dom0 dies
in its first instructions; RDTSCP, which Xen cannot emulate for its guests here; XSAVE, with which
AVX registers leak from one virtual CPU to another and programs crash at random. With two processors
guests start sooner, and those that move between them may end in a triple fault: see xen_dom0.sh.
"""

import os
import pathlib
import tempfile

import image
import qemu

CPU = "max,-smap,-rdtscp,-xsave"
MEMORY_MIB = 2048
DOM0_MIB = 768


def boot(build, job, boots, processors, **words):
    """Runs `job` (a script of this folder) in dom0 and returns a Run. `words` become its environment.
    It may take as long as `boots` boots of dom0 do."""
    folder = image.get("xen")
    with tempfile.TemporaryDirectory(prefix="rig.") as home:
        home = pathlib.Path(home)
        qemu.pack(build, None, home / "programs.tar")
        (home / "first.cpio").write_bytes(qemu.newc(qemu.first_files(build, folder / "boot")))
        words = {"init": "/rig/tests/rig/init", "job": f"/rig/{job}", "build": "/rig", **words}
        xen = [f"dom0_mem={DOM0_MIB}M,max:{DOM0_MIB}M", "dom0_max_vcpus=1", "dom0_vcpus_pin=1",
               "com1=115200,8n1", "console=com1", "loglvl=error", "guest_loglvl=error", "spec-ctrl=no"]
        linux = ["console=hvc0 quiet loglevel=2 panic=-1 mitigations=off audit=0",
                 *(f"rig_{name}={value}" for name, value in words.items())]
        command = [
            "setpriv", "--pdeathsig", "KILL",
            image.QEMU, "-accel", "tcg,thread=multi", "-cpu", CPU, "-smp", str(processors),
            "-m", str(MEMORY_MIB), "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-serial", "stdio", "-kernel", folder / "xen", "-append", " ".join(xen),
            "-initrd", f"{folder}/vmlinux {' '.join(linux)},{home}/first.cpio",
            "-drive", f"file={folder}/root.img,if=virtio,format=raw,snapshot=on,cache=unsafe",
            "-drive", f"file={home}/programs.tar,if=virtio,format=raw,readonly=on",
        ]
        return qemu.watch(command, {**os.environ, "TMPDIR": str(home)}, boots)
