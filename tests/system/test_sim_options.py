"""The command line of ekey-sim."""

import re
import subprocess

import pytest

from processes import TOP, program

USAGE = 2
SECRET = "6MQKLoRDCfBNTgPVlQ3gr+26tIVJ/pmO8+oPWkEgfN6A"  # a card's text with a wrong CRC


def run(*options):
    argv = [program("ekey-sim"), *options]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize(
    "option, value",
    [
        ("--rate", "fast"),
        ("--rate", "-1"),
        ("--serial", "SHORT"),
        ("--ltk", "00" * 31),
        ("--ltk", "0g" * 32),
        ("--split", "0"),
        ("--stale-frames", "17"),
        ("--waiting-frames", "1001"),
        ("--fail-mode", "6"),
        ("--fail-mode", "11"),
        ("--seed", "s" * 65),
    ],
)
def test_wrong_value_is_named_by_its_option(tmp_path, option, value):
    ended = run("--listen", f"unix:{tmp_path}/key", option, value)
    assert ended.returncode == USAGE
    assert ended.stderr == f"ekey-sim: {option}: not a valid value\nekey-sim: see ekey-sim --help\n"


def test_wrong_master_key_is_not_repeated(tmp_path):
    ended = run("--listen", f"unix:{tmp_path}/key", "--master-key", SECRET)
    assert ended.returncode == USAGE
    assert SECRET[:8] not in ended.stderr


@pytest.mark.parametrize("address", ["tcp:localhost", "pty:", "/dev/tty", "vhci:", "vhci:256", "vhci:x"])
def test_unknown_address_is_refused(address):
    ended = run("--listen", address)
    assert ended.returncode == USAGE
    assert "give pty:PATH, tty:PATH, unix:PATH or vhci:NUMBER" in ended.stderr


@pytest.mark.parametrize("words, named", [
    ([], "--listen PORT is needed"), (["word"], "unexpected word 'word'"), (["--frobnicate"], "'--frobnicate'"),
    (["--listen"], "'--listen'"), (["-x"], "'x'"),
])
def test_word_that_is_not_understood_is_named(words, named):
    ended = run(*words)
    assert (ended.returncode, ended.stdout) == (USAGE, "")
    assert named in ended.stderr, ended.stderr


@pytest.mark.parametrize("word", ["-h", "--help", "-V", "--version"])
def test_help_and_version_are_no_errors(word):
    ended = run(word)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("ekey-sim 0" if word in ("-V", "--version") else "usage: ekey-sim ")


def test_port_that_cannot_be_opened_is_no_usage_error(tmp_path):
    ended = run("--listen", f"unix:{tmp_path}/none/key")
    assert ended.returncode == 1 and "No such file" in ended.stderr


def test_help_tells_every_option():
    source = (TOP / "tests/sim/options.c").read_text()
    known = set(re.findall(r'^\t\{"([a-z-]+)", \w+_argument', source, re.M)) - {"help"}
    assert len(known) >= 29
    assert {name for name in known if f"--{name}" in run("--help").stdout} == known
