"""make install puts everything where it belongs and takes nothing away that is the user's."""


import pytest

from processes import BUILD, TOP, program, run

INSTALLED = {
    "usr/local/sbin/ekey-randomd",
    "usr/local/bin/ekeyctl",
    "usr/local/bin/ekey-sim",
    "usr/local/share/doc/ekey-random/ekey-random.conf",
    "usr/local/share/doc/ekey-random/README.md",
    "usr/local/share/doc/ekey-random/NEWS",
    "usr/local/share/doc/ekey-random/entropy-key.md",
    "usr/local/share/man/man1/ekeyctl.1",
    "usr/local/share/man/man1/ekey-sim.1",
    "usr/local/share/man/man5/ekey-random.conf.5",
    "usr/local/share/man/man8/ekey-randomd.8",
    "etc/ekey-random/ekey-random.conf",
}
KEPT = "etc/ekey-random/ekey-random.conf"


@pytest.fixture
def make(place):
    def start(target):
        result = run("make", "-C", str(TOP), target, f"DESTDIR={place}", f"BUILD={BUILD}")
        assert result.returncode == 0, result.stdout
        return {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}

    return start


def test_installs_and_uninstalls(make, place):
    assert make("install") == INSTALLED
    (place / KEPT).write_text("mine")
    assert make("install") == INSTALLED
    assert (place / KEPT).read_text() == "mine"
    assert make("uninstall") == {KEPT}


def test_example_configuration_is_good():
    example = TOP / "dist/ekey-random.conf"
    result = run(program("ekey-randomd"), "-n", "-c", str(example))
    assert result.returncode == 0 and f"{example} is good" in result.stdout, result.stdout
