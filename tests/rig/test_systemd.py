"""The service under real systemd, where it needs neither CUSE nor a key on USB: in namespaces of this
machine, or in a guest in QEMU where the machine does not allow those."""

import pytest

import image
import namespaces
import qemu
from guests import BUILD, SERVICE


def place(request):
    """The module whose boot() is to run it."""
    lack, _ = namespaces.trial(BUILD)
    if lack is None:
        return namespaces
    try:
        image.get()
    except image.Lack as other:
        pytest.skip(f"systemd runs neither in namespaces ({lack}) nor in a guest, which needs {other}")
    line = f"\nin a guest, for systemd does not run in namespaces here: {lack}"
    request.config.get_terminal_writer().line(line)
    return qemu


@pytest.fixture(scope="module")
def run(request, tmp_path_factory):
    return SERVICE.boot(tmp_path_factory.mktemp(SERVICE.name), place(request))


@pytest.mark.parametrize("case", SERVICE.cases)
def test_service(run, case):
    results = run.results()
    assert case in results, f"not tried:\n{run.output}"
    assert results[case] is None, f"{results[case]}\n{run.output}"


def test_ends_by_itself_and_tries_nothing_unlisted(run):
    assert run.exit == 0, run.output
    assert set(run.results()) <= set(SERVICE.cases)
