"""The verdict on files: `ekey-randomd -n`, and a start that cannot be."""

import pathlib
import subprocess

import pytest

from processes import BUILD, PATIENCE_S


def check(house):
    return subprocess.run([BUILD / "ekey-randomd", "-n", "-c", house.config], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE_S)


def test_check_calls_a_good_file_good(house):
    house.write_config(house.source(), house.device_section())
    house.keyring.touch(0o600)
    result = check(house)
    assert (result.returncode, result.stdout) == (0, f"{house.config} is good\n")


# What a file can name and a machine can lack, and what is said of it.
MISSING = {
    "[source a]\ntype = egd\naddress = tls:h:1\npsk = /none/psk\n": "source a: ",
    "[source a]\ntype = egd\naddress = tls:h:1\nca = /none/ca\n": "source a: ",
    "[listen a]\naddress = tls:127.0.0.1:1\npsk = /none/psk\n": "listen a: ",
    "[listen a]\naddress = tls:127.0.0.1:1\ncert = /none/cert\n": "listen a: ",
    "[listen a]\naddress = systemd:a\ncert = /etc/passwd\n": "listen a: ",
    "[listen a]\naddress = unix:/run/a\nowner = no-user\n": "listen a: owner = no-user: ",
    "[listen a]\naddress = unix:/run/a\nowner = root:no-group\n": "owner = root:no-group: ",
    "[listen a]\naddress = unix:/run/a\nowner = :no-group\n": "owner = :no-group: ",
    "[listen a]\naddress = unix:/none/a\n": "listen a: unix:/none/a: /none: No such file",
    "[device a]\npath = /none/random\n": "/none/random: its directory /none/: ",
    "[device a]\npath = /etc/passwd/random\n": "Not a directory",
    "[daemon]\nuser = no-user\n": "user = no-user: no such user",
    "[daemon]\ncontrol = /none/run/control\n": "control socket /none/run/control: /none/run: ",
    "[daemon]\ncontrol = /etc/passwd/control\n": "/etc/passwd: Not a directory",
}


@pytest.mark.parametrize("text", MISSING)
def test_check_names_what_the_machine_does_not_have(house, text):
    house.config.write_text(text + ("" if "[daemon]" in text else "[daemon]\n")
                            + f"keyring = {house.keyring}\n")
    result = check(house)
    assert (result.returncode, result.stdout) == (1, "")
    assert MISSING[text] in result.stderr and result.stderr.count("\n") == 1 + (
        "[daemon]" in text), result.stderr


def test_check_names_all_that_is_missing_at_once(house):
    house.config.write_text("[daemon]\nuser = no-user\n[device a]\npath = /none/random\n")
    result = check(house)
    assert result.returncode == 1
    assert "user = no-user" in result.stderr and "/none/random" in result.stderr


def test_check_knows_that_the_daemon_makes_the_directory_of_its_socket(house):
    house.control = house.path / "run" / "control"
    house.write_config(house.device_section(path=house.path / "run" / "random"),
                       f"[listen a]\naddress = unix:{house.path}/run/egd\n")
    result = check(house)
    assert (result.returncode, result.stderr) == (0, "")


def test_check_knows_that_a_socket_can_be_in_the_root(house):
    house.control = pathlib.Path("/control")
    house.write_config(house.device_section())
    result = check(house)
    assert (result.returncode, result.stderr) == (0, "")


def test_check_warns_of_a_file_that_asks_for_nothing(house):
    for text, warns in ("", True), ("[pool]\nsize = 8KiB\n", True), ("[kernel]\n", False):
        house.config.write_text(text)
        result = check(house)
        assert result.returncode == 0
        assert ("would read nothing and serve nothing" in result.stderr) == warns, text


def test_check_accepts_a_keyring_that_is_not_there_yet(house):
    house.write_config(house.source())
    result = check(house)
    assert result.returncode == 0
    assert f"{house.keyring}: no keyring yet" in result.stderr


def test_check_does_not_ask_for_a_keyring_where_no_source_is_a_key(house):
    house.write_config("[source up]\ntype = egd\naddress = tcp:192.0.2.11:8888\n")
    result = check(house)
    assert (result.returncode, result.stderr) == (0, "")


def test_check_names_file_and_line_of_every_error(house):
    house.config.write_text("[pool]\nsize = big\n[sauce x]\n")
    result = check(house)
    assert (result.returncode, result.stdout) == (1, "")
    assert f"{house.config}:2: size = big: " in result.stderr
    assert f"{house.config}:3: unknown section [sauce]" in result.stderr


def test_check_warns_of_a_bad_line_in_the_keyring_with_which_the_daemon_would_run(house):
    house.write_config()
    house.keyring.write_text("# good\nnonsense\n")
    result = check(house)
    assert result.returncode == 0
    assert f"{house.keyring}:2: " in result.stderr


def test_check_warns_of_a_keyring_that_others_can_read(house):
    house.write_config()
    house.keyring.touch()
    for mode, warns in (0o600, False), (0o640, False), (0o644, True), (0o660, True):
        house.keyring.chmod(mode)
        result = check(house)
        assert result.returncode == 0
        assert ("chmod 0640" in result.stderr) == warns, oct(mode)


def test_example_configuration_is_good():
    example = pathlib.Path(__file__).parents[2] / "doc" / "ekey-random.conf"
    argv = [BUILD / "ekey-randomd", "-n", "-c", example]
    assert subprocess.run(argv, stderr=subprocess.PIPE, timeout=PATIENCE_S).returncode == 0


def test_missing_configuration_ends_the_start(house):
    argv = [BUILD / "ekey-randomd", "-c", house.config]
    result = subprocess.run(argv, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S)
    assert result.returncode == 78
    assert f"{house.config}: No such file or directory" in result.stderr


def test_what_is_no_file_is_called_so(house):
    result = subprocess.run([BUILD / "ekey-randomd", "-n", "-c", house.path], text=True,
                            stderr=subprocess.PIPE, timeout=PATIENCE_S)
    assert result.returncode == 1
    assert f"{house.path}: not a regular file" in result.stderr
