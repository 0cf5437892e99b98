"""Boots user-mode Linux on this machine's own files and runs one program in it as root.

The root is read-only, /run is a tmpfs, /dev/cuse is there. Needs the package user-mode-linux and
no privilege; nothing outlives the call.
"""

import dataclasses
import glob
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

KERNEL = "linux.uml"
MODULES = "/usr/lib/uml/modules/*/kernel/fs/fuse/cuse.ko"
MEMORY_MIB = 384


@dataclasses.dataclass
class Run:
    """What one boot left: `exit` is None when the job did not end within the limit."""

    exit: int | None
    output: str
    seconds: float

    def results(self):
        """{name: complaint or None} from the lines "ok NAME" and "not ok NAME: complaint"."""
        found = {}
        for line in self.output.splitlines():
            if match := re.fullmatch(r"(not )?ok ([\w.-]+)(?:: (.*))?", line.strip()):
                found[match[2]] = (match[3] or "no reason given") if match[1] else None
        return found


def missing():
    """What keeps the rig from running here, or None."""
    if not shutil.which(KERNEL):
        return f"{KERNEL} (package user-mode-linux)"
    if not glob.glob(MODULES):
        return f"{MODULES} (package user-mode-linux)"
    return None


def modules_dir():
    return sorted(glob.glob(MODULES))[-1].removesuffix("/kernel/fs/fuse/cuse.ko")


def memory_dir():
    """Where the guest's memory is kept: room for it, and mappable as code."""
    for path in ("/dev/shm", tempfile.gettempdir(), "."):
        try:
            fs = os.statvfs(path)
        except OSError:
            continue
        room = fs.f_bavail * fs.f_frsize
        if room > MEMORY_MIB << 20 and not fs.f_flag & os.ST_NOEXEC and os.access(path, os.W_OK):
            return path
    return tempfile.gettempdir()


def boot(init, job, limit, arguments=(), **words):
    """Runs `job` (a program's absolute path) and returns a Run.

    `arguments` are the kernel's; `words` become the job's environment.
    """
    with tempfile.TemporaryDirectory(prefix="uml.") as home:
        command = [
            KERNEL,
            f"mem={MEMORY_MIB}M",
            f"uml_dir={home}/",
            "rootfstype=hostfs",
            "ro",
            "quiet",
            f"init={init}",
            "con0=null,fd:1",
            "con=null",
            "ssl=null",
            f"rig_modules={modules_dir()}",
            f"rig_job={job}",
            *arguments,
            *(f"rig_{name}={value}" for name, value in words.items()),
        ]
        env = {**os.environ, "HOME": home, "TMPDIR": memory_dir()}
        return watch(command, env, limit)


def watch(command, env, limit):
    started = time.monotonic()
    kernel = subprocess.Popen(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = kernel.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        output = None
    finally:
        # Its processes are all of its own group, which nobody else is in.
        try:
            os.killpg(kernel.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    if output is None:
        output, _ = kernel.communicate()
    text = re.sub("\r+\n", "\n", output.decode(errors="replace"))
    ended = re.search(r"^rig: exit (\d+)$", text, re.M)
    return Run(int(ended[1]) if ended else None, text, time.monotonic() - started)
