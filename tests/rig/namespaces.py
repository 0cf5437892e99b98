"""Runs a job beside real systemd in namespaces of this machine (namespaces.sh): in seconds, where a
guest takes minutes. What such a job needs, and a machine may refuse, is tried."""

import os
import pathlib
import tempfile

import image
import qemu
import uml

HERE = pathlib.Path(__file__).resolve().parent
TRIAL_LIMIT_S = 60  # a second or two

# FUSE, and a user namespace as anybody can make one.
TRIAL = """\
[Service]
Type=oneshot
ExecStart=sh -c ': <>/dev/fuse && setpriv --reuid 65534 --regid 65534 --clear-groups unshare -Um true && \
	echo "rig: exit 0"; systemctl poweroff -ff'
StandardOutput=file:/dev/console
StandardError=file:/dev/console
"""


def boot(build, _job, limit, tree, *_):
    """As qemu.boot() of a guest with systemd: a unit in `tree`, files for the root, starts the job."""
    with tempfile.TemporaryDirectory(prefix="rig.") as home:
        archive = pathlib.Path(home, "programs.tar")
        qemu.pack(build, tree, archive)
        command = ["sh", HERE / "namespaces.sh", archive, str(limit)]
        return uml.watch(command, {**os.environ, "TMPDIR": home}, limit + 30)


def lack(build):
    """What keeps jobs from running here, or None."""
    suite = os.environ.get("SUITE")
    if suite and suite != image.host_suite():
        return f"SUITE={suite} is another system than this machine's"
    if os.geteuid() != 0:
        return "only root can make them"
    with tempfile.TemporaryDirectory(prefix="rig.") as tree:
        units = pathlib.Path(tree, "etc/systemd/system")
        units.mkdir(parents=True)
        (units / "rig.service").write_text(TRIAL, encoding="ascii")
        run = boot(build, None, TRIAL_LIMIT_S, tree)
    lines = run.output.strip().splitlines()
    return None if run.exit == 0 else lines[0] if lines else "systemd started nothing in them"
