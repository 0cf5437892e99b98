"""Sources that send nothing but entropy: FIFOs, devices and ttys, as the daemon and its readers have them."""

import hashlib
import os
import shutil
import subprocess

import pytest

from house import stop
from processes import PATIENCE_S, program, run, wait_until

RAW = """\
[source rng]
type = raw
address = {address}
{more}"""
TRUSTED = "trusted = yes\ncredit = 2\n"


def raw(address, more=TRUSTED):
    return RAW.format(address=address, more=more)


def random_bytes(length):
    return b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(length // 32))


def test_reader_gets_the_bytes_of_a_fifo_in_order_across_writers(house):
    fifo, sent = house.path / "fifo", random_bytes(96 * 1024)
    os.mkfifo(fifo)
    house.write_config(raw(fifo), house.device_section())
    house.start_daemon()
    for at in range(0, len(sent), 32 * 1024):
        fifo.write_bytes(sent[at:at + 32 * 1024])  # opens, writes, closes
        assert house.read(30 * 1024) == sent[at:at + 30 * 1024]
        assert house.read(2 * 1024) == sent[at + 30 * 1024:at + 32 * 1024]
        wait_until(lambda: house.status()["source rng"]["serves"] == "no", "the writer is gone")
        wait_until(lambda: house.status()["source rng"]["connected"] == "yes", "it is open again")
    row = house.status()["source rng"]
    assert (row["type"], row["use"], row["credit_bits_per_byte"]) == ("raw", "pool", "2")
    assert int(row["read_bytes"]) == len(sent) == int(row["pooled"])


def test_untrusted_device_feeds_no_reader(house):
    house.write_config(raw("/dev/urandom", ""), house.device_section())
    house.start_daemon()
    house.wait_state("open, but not used", "source rng")
    assert house.status()["pool -"]["in"] == "0"
    assert house.count("it is not trusted, since nothing shows that its bytes are good entropy") == 1


def test_doctor_has_a_cure_for_each_state(house):
    def says(section, state):
        house.write_config(section)
        daemon = house.start_daemon()
        house.wait_state(state, "source rng")
        said = run(program("ekeyctl"), "--socket", str(house.control), "doctor").stdout
        stop(daemon)
        return said

    said = says(raw("/dev/urandom", ""), "open, but not used")
    assert "write: trusted = yes; or add [kernel]" in said
    said = says(raw("/dev/urandom", "") + "[kernel]\n", "not for the pool")
    assert "ok   source rng: sends, but its bytes are not for the pool: they are mixed" in said
    said = says(raw(f"{house.path}/missing"), "No such file")
    assert "may the daemon read it? `ekeyctl unit` prints" in said


def test_device_without_poll_fills_the_pool_and_then_rests(house):
    house.write_config(raw("/dev/urandom"), house.device_section())
    house.start_daemon()
    house.wait_full("source rng")
    assert len(set(house.read(4096))) == 256


@pytest.mark.skipif(not os.access("/dev/hwrng", os.R_OK), reason="/dev/hwrng cannot be read here")
def test_hardware_generator_of_this_machine_serves(house):
    house.write_config(raw("/dev/hwrng"), house.device_section())
    house.start_daemon()
    wait_until(lambda: int(house.status()["source rng"]["read_bytes"]) > 0
               or "evice" in house.status()["source rng"]["state"], "bytes, or no generator behind it")


@pytest.mark.skipif(shutil.which("socat") is None, reason="socat is missing")
def test_tty_is_read_raw(house):
    tty, sent = house.path / "tty", random_bytes(16 * 1024)
    house.write_config(raw(tty), house.device_section())
    house.start_daemon()
    with subprocess.Popen(["socat", "-", f"pty,rawer,link={tty}"], stdin=subprocess.PIPE) as line:
        wait_until(lambda: house.status()["source rng"]["connected"] == "yes", "the tty is open")
        line.stdin.write(sent)
        line.stdin.flush()
        assert house.read(len(sent)) == sent
        line.terminate()
        line.wait(PATIENCE_S)
    wait_until(lambda: house.status()["source rng"]["connected"] == "no", "the tty is gone")


def test_own_device_and_files_are_no_sources(house):
    house.write_config(raw(house.device), house.device_section())
    result = run(program("ekey-randomd"), "-n", "-c", str(house.config))
    assert result.returncode == 1 and "the address of a source" in result.stdout
    (house.path / "recording").write_bytes(random_bytes(4096))
    house.write_config(raw(house.path / "recording"))
    house.start_daemon()
    house.wait_state("expected a character device, a tty or a FIFO; a socket is unix:/PATH", "source rng")
