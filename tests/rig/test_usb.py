"""A simulated key on the USB of Debian's stock kernel, in QEMU: what the kernel, udev and the daemon
make of it. SUITE=trixie tries another Debian's."""

import os
import pathlib

import pytest

import qemu

BUILD = pathlib.Path(__file__).resolve().parents[2] / os.environ.get("BUILD", "build")
LIMIT_S = 300  # of one boot; some take a minute
CYCLES = int(os.environ.get("EKEY_USB_CYCLES", "20"))
CYCLE_S = 5  # at most

LINUX = [
    "enumerates",
    "endpoints_are_the_keys",
    "acm_binds",
    "udev_knows_it",
    "two_keys_have_two_terminals",
]
SOURCE = [
    "flows_in_order",
    "no_line_state_was_sent",
    "idle_and_full_sleeps",
    "unplugged_key_blocks_readers",
    "replugged_key_serves_them",
    "plug_to_byte_takes_less_than_3_s",
    "stall",
    "eproto",
    "overflow",
    "zero_packets",
    "short_packets",
    "survives_unplugging",
    "two_keys_double_the_rate",
    "losing_one_halves_it",
]
GADGET = [
    "enumerates",
    "flows_in_order",
    "unplugged_gadget_blocks_readers",
    "replugged_gadget_serves_them",
]
CASES = {
    ("usb.sh", "tty"): LINUX + [f"tty.{name}" for name in SOURCE],
    ("usb.sh", "usb"): [f"usb.{name}" for name in [*SOURCE, "mute_until_reset"]],
    ("gadget.sh", "tty"): GADGET,
    ("gadget.sh", "usb"): GADGET,
}
boots = {}


def booted(job, address):
    """One boot for all cases of a job."""
    if (job, address) not in boots:
        boots[job, address] = qemu.boot(
            BUILD, job, LIMIT_S + CYCLES * CYCLE_S, address=address, cycles=CYCLES
        )
    return boots[job, address]


@pytest.fixture(autouse=True)
def needs_qemu():
    if lack := qemu.missing():
        pytest.skip(f"missing: {lack}")


@pytest.mark.parametrize(
    "job, address, case", [(*boot, case) for boot, cases in CASES.items() for case in cases]
)
def test_usb(job, address, case):
    boot = booted(job, address)
    results = boot.results()
    assert case in results, f"not tried:\n{boot.output}"
    assert results[case] is None, f"{results[case]}\n{boot.output}"


@pytest.mark.parametrize("job, address", CASES)
def test_ends_by_itself_and_tries_nothing_unlisted(job, address):
    boot = booted(job, address)
    assert boot.exit == 0, boot.output
    assert set(boot.results()) <= set(CASES[job, address])
