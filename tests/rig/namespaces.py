"""Runs a job beside real systemd in namespaces of this machine (namespaces.sh): in seconds, where a
guest takes minutes. What such a job needs, and a machine may refuse, is tried."""

import functools
import os
import pathlib
import tempfile

import image
import qemu

HERE = pathlib.Path(__file__).resolve().parent

# FUSE, and a user namespace as anybody can make one.
TRIAL = """\
[Service]
Type=oneshot
ExecStart=sh -c ': <>/dev/fuse && setpriv --reuid 65534 --regid 65534 --clear-groups unshare -Um true && \
	echo "rig: exit 0"; systemctl poweroff -ff'
StandardOutput=file:/dev/console
StandardError=file:/dev/console
"""


def run(build, tree, limit_s):
    with tempfile.TemporaryDirectory(prefix="rig.") as home:
        archive = pathlib.Path(home, "programs.tar")
        qemu.pack(build, tree, archive)
        command = ["sh", HERE / "namespaces.sh", archive, str(round(limit_s))]
        # It ends by itself, and prints what was said there when it does.
        return qemu.watch(command, {**os.environ, "TMPDIR": home}, 2, limit_s + 30)


@functools.cache
def trial(build):
    """What keeps jobs from running here, or None, and the seconds that it took to find out."""
    suite = os.environ.get("SUITE")
    if suite and suite != image.host_suite():
        return f"SUITE={suite} is another system than this machine's", 0
    if os.geteuid() != 0:
        return "only root can make them", 0
    with tempfile.TemporaryDirectory(prefix="rig.") as tree:
        units = pathlib.Path(tree, "etc/systemd/system")
        units.mkdir(parents=True)
        (units / "rig.service").write_text(TRIAL, encoding="ascii")
        tried = run(build, tree, qemu.BOOT_LIMIT_S)
    lines = tried.output.strip().splitlines()
    lack = None if tried.exit == 0 else lines[0] if lines else "systemd started nothing in them"
    return lack, tried.seconds


def boot(build, _job, boots, tree, *_):
    """As qemu.boot() of a guest with systemd: a unit in `tree`, files for the root, starts the job. What
    counts as a boot is a second, and as long as the trial took."""
    return run(build, tree, boots * (1 + trial(build)[1]))
