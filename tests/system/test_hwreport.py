"""ekeyctl hwreport: what an owner sends to us says much about the key and nothing of its secrets."""

import base64
import re
import socket
import threading

import pytest

from processes import program, run, wait_until

SERIAL = "SIMULATEDKEY0001"
MASTER = "6MQKLoRDCfBNTgPVlQ3gr+26tIVJ/pmO8+oPWkEgfN6m"
FRAME_LEN = 64


class Tap:
    """A Unix socket between daemon and key, which keeps what goes either way."""

    def __init__(self, path, key):
        self.key, self.frames, self.commands = key, b"", b""
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                host, _ = self.listener.accept()
            except OSError:
                return
            device = socket.socket(socket.AF_UNIX)
            device.connect(str(self.key))
            threading.Thread(target=self._pass, args=(host, device, "commands"), daemon=True).start()
            threading.Thread(target=self._pass, args=(device, host, "frames"), daemon=True).start()

    def _pass(self, source, sink, kept):
        try:
            while data := source.recv(65536):
                setattr(self, kept, getattr(self, kept) + data)
                sink.sendall(data)
        except OSError:
            pass  # one of them has ended

    def close(self):
        self.listener.close()


@pytest.fixture
def tapped(place, start_sim, start_daemon):
    sim = start_sim(rate=500, options=["--master-key", MASTER])
    tap = Tap(place / "tap", sim.path)
    daemon = start_daemon(sim=sim, address=f"unix:{place}/tap")
    yield tap, sim, daemon
    tap.close()


def wait_for_blocks(daemon):
    """Enough to have seen a second of it, and all kinds of frames."""
    wait_until(lambda: int(daemon.status()["source key"]["blocks"]) > 1000, "a thousand blocks")


def report(daemon, *words):
    return run(program("ekeyctl"), "-s", str(daemon.control), "hwreport", *words)


def windows(text, size):
    return {text[i : i + size] for i in range(len(text) - size + 1)}


def traces(secret):
    """Each piece of a secret that could betray it: eight characters of its PEM, or of its digits."""
    pem, digits = base64.b64encode(secret).decode().rstrip("="), secret.hex()
    return windows(pem, 8) | windows(digits, 8) | windows(digits.upper(), 8)


REPORT = r"""Entropy Key hardware report. It holds no key, nonce, MAC or entropy byte.
ekeyctl 0[.]\d+[.]\d+
Linux .+
ekey-randomd 0[.]\d+[.]\d+

key SIMULATEDKEY0001
reset to S, ms: last \d+, least \d+, most \d+, of 1
reset to first k, ms: last \d+, least \d+, most \d+, of 1
K to its answer, ms: last \d+, least \d+, most \d+, of 1
answer to answer, ms: never
entropy frames a second: last \d+, least \d+, most \d+, of \d+
frames E: \d+ authentic, 0 not verified, sub-codes 0 to \d+
frames I: \d+ authentic, \d+ not verified
frames K: 1 authentic, 0 not verified, sub-codes 12 to 12
frames S: 1 authentic, 0 not verified, sub-codes 0 to 0
frames k: \d+ authentic, \d+ not verified
text k, \d+ times: U.+
text I, \d+ times: T9+ V9+
text I, \d+ times: F9+:9+:9+:9+:9+
text I, \d+ times: S9+:9+:9+:9+:9+:9+:9+:9+:9
type: ekey
address: unix:.+/tap
state: keyed
connected: yes
serves: yes
paused: (yes|no)
use: pool
credit_bits_per_byte: 7
connects: 1
health: healthy
health_cause: none
health_alarms: 0
in: \d+
pooled: \d+
rejected: 0
held: 0
alarm: no
serial: SIMULATEDKEY0001
undecoded_bytes: \d+
read_bytes: \d{5,6}
written_bytes: \d+
frames_ok: \d{4}
frames_bad_mac: 0
frames_malformed: 0
frames_replayed: 0
frames_skipped: 0
frames_ignored: \d+
blocks: \d{4}
nonces: 1
rekeys: 1
resets: 1
temperature_decikelvin: 3\d{3}
voltage_mv: 3\d{3}
fips_blocks: \d+
fips_fails: 0
fips_monobit_fails: 0
fips_poker_fails: 0
fips_runs_fails: 0
badness: 0
badness_text: no failure
raw_bytes: \d+
raw_left_shannon_centibits: \d+
raw_right_shannon_centibits: \d+
raw_xor_shannon_centibits: \d+
debiased_left_bytes: \d+
debiased_left_shannon_centibits: \d+
debiased_right_bytes: \d+
debiased_right_shannon_centibits: \d+
compared with what a key should show: differs in entropy frames a second
"""


def test_report_has_every_line(tapped):
    _, _, daemon = tapped
    wait_for_blocks(daemon)
    text = report(daemon).stdout
    for line, wanted in zip(text.splitlines(), REPORT.splitlines()):
        assert re.fullmatch(wanted, line), (line, wanted)
    assert len(text.splitlines()) == len(REPORT.splitlines()), text


def test_report_says_what_the_key_is_and_does(tapped):
    _, _, daemon = tapped
    wait_for_blocks(daemon)
    result = report(daemon)
    assert result.returncode == 0
    assert f"key {SERIAL}" in result.stdout
    assert re.search(r"frames E: \d+ authentic, \d+ not verified, sub-codes 0 to \d+", result.stdout)
    assert re.search(r"frames K: \d+ authentic, \d+ not verified, sub-codes 12 to 12", result.stdout)
    assert re.search(r"reset to S, ms: last \d+, least \d+, most \d+, of \d+\n", result.stdout)
    assert re.search(r"entropy frames a second: last \d+", result.stdout)
    assert re.search(r"text I, \d+ times: T9+ V9+\n", result.stdout)
    assert " times: Uaaaaa ta saaa eaaaaaa. Paaaaa ra-aaa saaaaaa." in result.stdout
    assert "health: " in result.stdout
    assert result.stdout.endswith("should show: differs in entropy frames a second\n")  # 500
    assert f"key {SERIAL}" in report(daemon, SERIAL).stdout


def test_report_of_a_key_that_is_not_there(tapped):
    _, _, daemon = tapped
    result = report(daemon, "AAECAxAREhOrrK2u")
    assert result.returncode == 4
    assert result.stdout == "ekeyctl: HwReport AAECAxAREhOrrK2u: there is no such key\n"


def test_nothing_secret_is_in_it(tapped):
    tap, sim, daemon = tapped
    wait_for_blocks(daemon)
    text = report(daemon).stdout
    secrets = set()
    for key in (MASTER, sim.keyring.read_text().split()[1]):
        secrets |= windows(key, 8) | traces(base64.b64decode(key)[:32])
    secrets |= traces(sim.expected(0, 1000 * 32))
    whole = len(tap.frames) // FRAME_LEN * FRAME_LEN
    frames = [tap.frames[i : i + FRAME_LEN] for i in range(0, whole, FRAME_LEN)]
    assert len(frames) > 1000 and all(frame.startswith(b"* ") for frame in frames)
    for frame in frames:
        secrets.add(frame[54:62].decode())
        if frame[2:4] in (b"K!", b"E!"):
            secrets |= windows(frame[6:50].decode(), 8)
    nonces = re.findall(rb"K(.{16})\.", tap.commands)
    assert nonces
    for nonce in nonces:
        secrets |= windows(nonce.decode(), 8) | traces(base64.b64decode(nonce))
    assert len(secrets) > 50000
    found = windows(text, 8) & secrets
    assert not found


# ---- without the daemon ----


def listen(*words):
    return run(program("ekeyctl"), "-s", "/nonexistent", "-t", "2s", "hwreport", *map(str, words))


def differs_in(result):
    """What the last line names, but for the rate: on a busy machine the simulated key is slow."""
    last = result.stdout.splitlines()[-1]
    assert last.startswith("compared with what a key should show: "), result.stdout
    return [what for what in last.partition("differs in ")[2].split(", ")
            if what not in ("", "entropy frames a second")]


@pytest.mark.parametrize("prefix", ["", "unix:"])
def test_without_the_daemon(start_sim, prefix):
    sim = start_sim(rate=86)
    words = ["--timeout", "4s", "--device", f"{prefix}{sim.path}", "--keyring", sim.keyring]
    result = listen(*words, SERIAL)
    assert result.returncode == 0, result.stdout
    assert f"key {SERIAL}" in result.stdout
    assert "state: keyed" in result.stdout
    assert re.search(r"frames E: \d+ authentic, 0 not verified", result.stdout)
    assert differs_in(result) == []


def test_without_the_daemon_and_without_a_keyring(start_sim, place):
    sim = start_sim()
    result = listen("--device", sim.path, "--keyring", place / "none")
    assert result.returncode == 0, result.stdout
    assert "state: its long-term key is not in the keyring" in result.stdout
    assert result.stdout.endswith("should show: differs in state\n")
    assert re.search(r"reset to S, ms: last \d+", result.stdout)


def test_key_whose_generators_fail_differs_from_a_good_one(start_sim):
    sim = start_sim(rate=86, options=["--fail-mode", "3", "--fail-after", "100"])
    result = listen("--timeout", "4s", "--device", sim.path, "--keyring", sim.keyring)
    assert differs_in(result) == ["state", "self-tests"]


def test_key_that_is_not_there_is_no_report(start_sim, place):
    sim = start_sim()
    other = listen("--device", sim.path, "--keyring", sim.keyring, "AAECAxAREhOrrK2u")
    away = listen("--device", f"unix:{place}/away")
    unplugged = listen("--device", f"usb:{SERIAL}")
    for result, why in (
        (other, "there is no key AAECAxAREhOrrK2u"),
        (away, "No such file or directory"),
        (unplugged, "not plugged in"),
        (listen("--device", "usb"), "no Entropy Key is plugged in"),
    ):
        assert result.returncode == 9
        assert why in result.stdout
        assert "Entropy Key hardware report" not in result.stdout


@pytest.mark.parametrize("port", ["pty", "unix"])
def test_key_that_the_daemon_has_is_reported_through_it(place, start_sim, start_daemon, port):
    sim = start_sim(listen=f"{port}:{place}/port")
    daemon = start_daemon(sim=sim, address=f"unix:{sim.path}" if port == "unix" else sim.path)
    wait_until(lambda: daemon.status()["source key"]["state"] == "keyed", "a session")
    words = ["-s", daemon.control, "-t", "2s", "--device", sim.path, "hwreport"]
    result = run(program("ekeyctl"), *map(str, words))
    assert result.returncode == 9
    assert "ekey-randomd runs and may have this key: omit --device" in result.stdout


@pytest.mark.parametrize("word", ["20090103", "M_tBF1IwMQA+AAAA"])
def test_text_that_is_no_serial_number_is_not_waited_for(word):
    for result in (listen("--device", f"usb:{word}"), listen("--device", "usb", word), listen(word)):
        assert result.returncode == 2
        assert f"{word}: a key's serial number has 16 characters" in result.stdout


def test_what_is_wrong_with_the_words(place):
    result = run(program("ekeyctl"), "-d", "ttyACM0", "hwreport")
    assert result.returncode == 2
    assert "/dev/... of a tty" in result.stdout
    result = run(program("ekeyctl"), "-d", f"unix:{place}/key", "-t", "soon", "hwreport")
    assert result.returncode == 2
    assert "a time such as 60s" in result.stdout
