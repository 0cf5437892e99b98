#!/usr/bin/python3
"""Runs the test suites and ends with one line: "N passed, N failed, N skipped".

tests/run.py [--build DIR] [--checks TARGETS] [--unit NAMES] SUITE... [-k WORDS]
SUITE is one of: checks, unit, system, systemd, guest, xen

A suite that breaks, or outlives its limit, is a failure of its own. Exits non-zero on any failure.
"""

import argparse
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml

TOP = pathlib.Path(__file__).resolve().parent.parent
UNIT_LIMIT_S = 120
PYTEST_LIMIT_S = 3600
AT_A_TIME = 2 * len(os.sched_getaffinity(0))  # system tests: they wait more than they compute
KINDS = ("passed", "failed", "skipped")


class Count(dict):
    def __init__(self, **counts):
        super().__init__({kind: counts.get(kind, 0) for kind in KINDS})

    def add(self, other):
        for kind in KINDS:
            self[kind] += other[kind]

    def __str__(self):
        return ", ".join(f"{self[kind]} {kind}" for kind in KINDS)


def run(command, limit, **options):
    """(exit status or None at the limit, output); its whole process group ends with it."""
    child = subprocess.Popen(
        command, cwd=TOP, stdin=subprocess.DEVNULL, start_new_session=True, text=True,
        errors="replace", **options,
    )
    try:
        output, _ = child.communicate(timeout=limit)
        return child.returncode, output
    except subprocess.TimeoutExpired:
        print(f"{command[0]}: not done after {limit} s", flush=True)
        return None, None
    finally:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()


def captured(command, limit, **options):
    return run(command, limit, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)


def run_checks(args):
    """Targets of the Makefile that say no more than yes or no."""
    count = Count()
    for target in args.checks.split():
        status, output = captured(["make", f"BUILD={args.build}", target], UNIT_LIMIT_S)
        count["passed" if status == 0 else "failed"] += 1
        if status != 0:
            print(f"make {target} failed:\n{output or ''}")
    return count


def run_unit(args):
    """The cmocka programs, by their TAP lines."""
    count = Count()
    for name in args.unit.split():
        program = TOP / args.build / f"tests/unit/test_{name}"
        with tempfile.TemporaryDirectory(prefix="ekey.") as scratch:
            os.chmod(scratch, 0o711)  # somebody else comes to some tests, too
            env = {**os.environ, "CMOCKA_MESSAGE_OUTPUT": "TAP", "TMPDIR": scratch}
            status, output = captured([program], UNIT_LIMIT_S, env=env)
        one = count_tap(output or "")
        if status != 0 and not one["failed"]:
            one["failed"] = 1
        if one["failed"] or one["skipped"]:
            print(f"{program.name}: {one}\n{output or ''}")
        count.add(one)
    return count


def count_tap(output):
    """A test that was planned and says nothing has failed: its program died."""
    planned = sum(int(last) for last in re.findall(r"^1\.\.(\d+)$", output, re.M))
    passed = len(re.findall(r"^ok \d+", output, re.M))
    skipped = len(re.findall(r"^not ok \d+ # SKIP", output, re.M))
    failed = len(re.findall(r"^not ok \d+", output, re.M)) - skipped
    silent = max(0, planned - passed - skipped - failed)
    return Count(passed=passed, failed=failed + silent, skipped=skipped)


def run_guests(args, kind, *names):
    """Where QEMU cannot run all of it is one skip."""
    sys.path.insert(0, str(TOP / "tests/rig"))
    import image  # pylint: disable=import-outside-toplevel

    try:
        image.get(kind)
    except image.Lack as lack:
        print(f"SKIPPED: the guests in QEMU ({names[0]}) need {lack}")
        return Count(skipped=1)
    except Exception as error:  # pylint: disable=broad-except
        print(f"the guests in QEMU ({names[0]}) have no image to boot from: {error}")
        return Count(failed=1)
    return run_pytest(args, *(f"tests/rig/test_{name}.py" for name in names))


def run_pytest(args, *words):
    with tempfile.TemporaryDirectory() as scratch:
        report = pathlib.Path(scratch, "report.xml")
        command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider"]
        command += [f"--junitxml={report}", *words] + (["-k", args.k] if args.k else [])
        env = {**os.environ, "BUILD": args.build, "PYTHONDONTWRITEBYTECODE": "1"}
        status, _ = run(command, PYTEST_LIMIT_S, env=env)
        count = count_junit(report)
    if status != 0 and not count["failed"]:
        count["failed"] = 1
    return count


def count_junit(report):
    if not report.exists():
        return Count()
    (suite,) = xml.parse(report).getroot().iter("testsuite")
    number = {key: int(suite.get(key)) for key in ("tests", "failures", "errors", "skipped")}
    failed = number["failures"] + number["errors"]
    return Count(
        passed=max(0, number["tests"] - failed - number["skipped"]),
        failed=failed,
        skipped=number["skipped"],
    )


SUITES = {
    "checks": run_checks,
    "unit": run_unit,
    "system": lambda args: run_pytest(
        args, f"--numprocesses={AT_A_TIME}", "--dist=loadgroup", "tests/system"),
    "systemd": lambda args: run_pytest(args, "tests/rig/test_systemd.py"),
    "guest": lambda args: run_guests(args, "", "guests", "virtio_rng", "libvirt", "clone"),
    "xen": lambda args: run_guests(args, "xen", "xen"),
}


def expect_signals():
    """Who starts us may ignore these, in the background or by nohup; tests do not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="+", choices=SUITES)
    parser.add_argument("--build", default="build")
    parser.add_argument("--checks", default="floors headers", help="targets of the Makefile")
    parser.add_argument("--unit", default="", help="unit tests, as the Makefile names them")
    parser.add_argument("-k", help="pytest's own choice of tests")
    args = parser.parse_args()
    expect_signals()
    total, lines = Count(), []
    for suite in args.suites:
        print(f"---- {suite}", flush=True)
        started = time.monotonic()
        count = SUITES[suite](args)
        total.add(count)
        lines.append(f"{suite + ':':8} {count} ({time.monotonic() - started:.1f} s)")
    print("----", *lines, total, sep="\n")
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
