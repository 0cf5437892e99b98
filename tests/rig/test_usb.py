"""A simulated key on the USB of Debian's stock kernel, in QEMU: what the kernel, udev and the
daemon make of it. SUITE=trixie tries another Debian's."""

import concurrent.futures
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
    "unplugged_key_blocks_readers",
    "replugged_key_serves_them",
    "plug_to_byte_takes_less_than_3_s",
    "stall",
    "eproto",
    "overflow",
    "zero_packets",
    "short_packets",
    "survives_unplugging",
]
LIBUSB = [
    "no_class_request_was_sent",
    "idle_and_full_sleeps",
    "mute_until_reset",
    "two_keys_double_the_rate",
    "losing_one_halves_it",
]
GADGET = [
    "flows_in_order",
    "unplugged_gadget_blocks_readers",
    "replugged_gadget_serves_them",
]
# By the job and how the daemon gets at the key in it.
CASES = {
    ("usb.sh", "usb"): [f"usb.{name}" for name in SOURCE + LIBUSB],
    ("usb.sh", "tty"): LINUX + [f"tty.{name}" for name in SOURCE],
    ("gadget.sh", "both"): [
        "enumerates",
        *(f"{kind}.{name}" for kind in ("tty", "usb") for name in GADGET),
    ],
}


@pytest.fixture(scope="module")
def boots(request):
    """A boot for each job that a chosen test needs, two at a time: {job: future Run}."""
    if lack := qemu.missing():
        pytest.skip(f"missing: {lack}")
    here = [item for item in request.session.items if item.module is request.module]
    wanted = {item.callspec.params["job"] for item in here}
    qemu.image(qemu.guest_suite())
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        yield {job: pool.submit(boot, *job) for job in CASES if job in wanted}


def boot(job, address):
    return qemu.boot(BUILD, job, LIMIT_S + CYCLES * CYCLE_S, address=address, cycles=CYCLES)


@pytest.mark.parametrize(
    "job, case", [(job, case) for job, cases in CASES.items() for case in cases]
)
def test_usb(boots, job, case):
    boot = boots[job].result()
    results = boot.results()
    assert case in results, f"not tried:\n{boot.output}"
    assert results[case] is None, f"{results[case]}\n{boot.output}"


@pytest.mark.parametrize("job", CASES)
def test_ends_by_itself_and_tries_nothing_unlisted(boots, job):
    boot = boots[job].result()
    assert boot.exit == 0, boot.output
    assert set(boot.results()) <= set(CASES[job])
