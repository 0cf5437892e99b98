"""A key is plugged into a machine with Debian's own systemd and udev: see systemd.sh."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
sys.path.insert(0, str(HERE))
import qemu  # noqa: E402

BUILD = TOP / os.environ.get("BUILD", "build")
LIMIT_S = 400  # some 70 on an idle machine

CASES = [
    "installs_on_a_running_machine",
    "keyring_of_ekeyd_is_taken_over",
    "cuse_is_the_services",
    "key_is_the_services",
    "key_is_left_alone_by_others",
    "tty_is_the_services",
    "link_is_safe",
    "plug_starts_the_service",
    "device_is_for_everyone_to_read",
    "runs_as_nobody_special",
    "first_bytes_are_the_streams",
    "others_can_wait_for_bytes_or_device",
    "reload_keeps_it_running",
    "unplug_blocks_readers",
    "replug_serves_them",
    "handover_is_armed",
    "readers_notice_no_end",
    "aborted_device_comes_back",
    "killed_daemon_comes_back",
    "hung_daemon_comes_back",
    "user_namespace_shuts_users_out",
    "fuse_drop_in_serves_everyone",
    "uninstall_ends_it",
]

# Not ordered after multi-user.target, which need not be reached.
UNIT = """\
[Service]
Type=oneshot
Environment=rig_build=/rig
ExecStart=/rig/systemd.sh
StandardOutput=file:/dev/console
StandardError=file:/dev/console
"""


@pytest.fixture(scope="module")
def boot(tmp_path_factory):
    """One boot for all cases."""
    if lack := qemu.missing():
        pytest.skip(f"missing: {lack}")
    tree = tmp_path_factory.mktemp("tree")
    words = [f"DESTDIR={tree}/install/root", f"BUILD={BUILD}"]
    subprocess.run(
        ["make", "-s", "-C", str(TOP), "install", *words],
        stdout=subprocess.DEVNULL, timeout=300, check=True,
    )
    shutil.copy(TOP / "dist/host.sh", tree / "install")
    units = tree / "etc/systemd/system"
    (units / "multi-user.target.wants").mkdir(parents=True)
    (units / "rig.service").write_text(UNIT)
    (units / "multi-user.target.wants/rig.service").symlink_to("../rig.service")
    return qemu.boot(build=BUILD, job="systemd.sh", limit=LIMIT_S, tree=tree, systemd=True)


@pytest.mark.parametrize("case", CASES)
def test_systemd(boot, case):
    results = boot.results()
    assert case in results, f"not tried:\n{boot.output}"
    assert results[case] is None, f"{results[case]}\n{boot.output}"


def test_ends_by_itself_and_tries_nothing_unlisted(boot):
    assert boot.exit == 0, boot.output
    assert set(boot.results()) <= set(CASES)
