"""What the daemon does about keys on USB that come, go, fall silent or fail: usb_keys.sh in QEMU."""

import os
import pathlib

import pytest

import qemu

BUILD = pathlib.Path(__file__).resolve().parents[2] / os.environ.get("BUILD", "build")
LIMIT_S = 420  # it takes a minute and a half, on a busy machine four
CASES = [
    "named_key_is_its_sections",
    "other_keys_are_for_any",
    "missing_keys_are_reported",
    "reload_hands_keys_over",
    "kernel_has_no_terminal",
    "stays_awake",
    "second_daemon_waits",
    "second_daemon_takes_over",
    "kernel_has_its_keys_back",
    "full_pool_notices_unplugging",
    "silent_key_raises_one_alarm",
    "replugged_key_answers",
    "report_of_the_daemon_has_descriptors",
    "key_that_the_daemon_has_is_in_use",
    "report_without_the_daemon",
    "rekey_without_the_daemon",
    "rekey_of_a_named_key_without_the_daemon",
    "stall_that_stays_is_given_up_once",
    "keys_are_found_without_udev",
    "unplugging_is_noticed_without_udev",
]


@pytest.fixture(scope="module")
def booted():
    if reason := qemu.missing():
        pytest.skip(f"QEMU needs {reason}")
    return qemu.boot(BUILD, "usb_keys.sh", LIMIT_S)


@pytest.mark.parametrize("promise", CASES)
def test_usb_keys(booted, promise):
    results = booted.results()
    assert promise in results, f"never tried; it ended with {booted.exit}:\n{booted.output[-6000:]}"
    assert results[promise] is None, f"{results[promise]}\n{booted.output[-6000:]}"


def test_nothing_was_tried_that_is_not_listed(booted):
    assert set(booted.results()) <= set(CASES)
