"""The verdict on files: `ekey-randomd -n`, and a start that cannot be."""

import pathlib
import subprocess

from processes import BUILD, PATIENCE_S


def check(house):
    return subprocess.run([BUILD / "ekey-randomd", "-n", "-c", house.config], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE_S)


def test_check_calls_a_good_file_good(house):
    house.write_config(house.source(), house.device_section())
    house.keyring.touch(0o600)
    result = check(house)
    assert (result.returncode, result.stdout) == (0, f"{house.config} is good\n")


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


def test_check_names_file_and_line_of_a_bad_keyring(house):
    house.write_config()
    house.keyring.write_text("# good\nnonsense\n")
    result = check(house)
    assert result.returncode == 1
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
    example = pathlib.Path(__file__).parents[2] / "dist" / "ekey-random.conf"
    argv = [BUILD / "ekey-randomd", "-n", "-c", example]
    assert subprocess.run(argv, stderr=subprocess.PIPE, timeout=PATIENCE_S).returncode == 0


def test_missing_configuration_ends_the_start(house):
    argv = [BUILD / "ekey-randomd", "-c", house.config]
    result = subprocess.run(argv, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S)
    assert result.returncode == 1
    assert f"{house.config}: No such file or directory" in result.stderr


def test_what_is_no_file_is_called_so(house):
    result = subprocess.run([BUILD / "ekey-randomd", "-n", "-c", house.path], text=True,
                            stderr=subprocess.PIPE, timeout=PATIENCE_S)
    assert result.returncode == 1
    assert f"{house.path}: not a regular file" in result.stderr
