"""The Makefile: how the programs are compiled."""

import subprocess

import pytest

from processes import TOP, program


def command(*settings):
    """The command by which one file would be compiled, in a folder where nothing is built."""
    argv = ["make", "-n", "V=1", "BUILD=/none", "/none/lib/num.o", *settings]
    result = subprocess.run(argv, cwd=TOP, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return next(line for line in result.stdout.splitlines() if " -c lib/num.c" in line).split()


@pytest.mark.parametrize("settings, fortified", [
    ([], True),
    (["CFLAGS=-O1 -g"], True),
    (["CFLAGS=-O0 -g"], False),
    (["CFLAGS="], False),
    (["CFLAGS=-O2 -D_FORTIFY_SOURCE=3"], False),
    (["CPPFLAGS=-D_FORTIFY_SOURCE=1"], False),
    (["SAN=-fsanitize=address"], False),
])
def test_code_is_fortified_where_that_works_and_nobody_chose_otherwise(settings, fortified):
    assert ("-D_FORTIFY_SOURCE=2" in command(*settings)) == fortified


def test_a_flag_that_the_compiler_lacks_is_left_out(tmp_path):
    compiler = tmp_path / "cc"
    compiler.write_text('#!/bin/sh\ncase "$*" in *-fcf-protection*) exit 1 ;; esac\nexec cc "$@"\n')
    compiler.chmod(0o755)
    flags = command(f"CC={compiler}")
    assert "-fcf-protection" not in flags and "-fstack-clash-protection" in flags


@pytest.mark.parametrize("name", ["ekey-randomd", "ekey-tls", "ekeyctl", "ekey-feed", "ekey-sim"])
def test_programs_are_hardened(name):
    symbols = subprocess.run(["nm", "-D", program(name)], capture_output=True, text=True, check=True).stdout
    if "__asan_init" in symbols:
        pytest.skip("missing: a build without sanitizers")
    assert "_chk@" in symbols and "__stack_chk_fail" in symbols
    heads = subprocess.run(["readelf", "-hldW", program(name)], capture_output=True, text=True, check=True).stdout
    assert "DYN (Position-Independent Executable" in heads and "GNU_RELRO" in heads and "NOW" in heads
