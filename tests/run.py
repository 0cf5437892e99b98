#!/usr/bin/python3
"""Runs the test suites and ends with one line: "N passed, N failed, N skipped".

tests/run.py [--build DIR] [--checks TARGETS] [--unit NAMES] [--list] SUITE... [-k WORDS]
SUITE is one of: checks, unit, system, systemd, guest, xen

A suite that breaks, or outlives its limit, is a failure of its own. Exits non-zero on any failure.
With --list nothing is judged: the name of each test is printed, a line for each.
"""

import argparse
import concurrent.futures
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as xml

TOP = pathlib.Path(__file__).resolve().parent.parent
UNIT_LIMIT_S = 120
LIMIT_S = 75 * 60  # for all of it: what is broken is ended and told before CI ends everything
STUCK_S = 30 * 60  # a test that takes longer is told, with where it waits
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


CHILDREN = set()
ENDED = threading.Event()  # no more of them may run


def end(child):
    """And its whole process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    CHILDREN.discard(child)


def run(command, limit, **options):
    """(exit status or None at the limit, output)"""
    child = subprocess.Popen(
        command, cwd=TOP, stdin=subprocess.DEVNULL, start_new_session=True, text=True,
        errors="replace", **options,
    )
    CHILDREN.add(child)
    try:
        if ENDED.is_set():
            return None, ""
        output, _ = child.communicate(timeout=limit)
        return child.returncode, output
    except subprocess.TimeoutExpired as late:
        print(f"{command[0]}: not done after {limit:.0f} s", flush=True)
        return None, (late.stdout or b"").decode(errors="replace")
    finally:
        end(child)


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


def run_unit_program(args, name):
    """(exit status or None at the limit, its TAP lines)"""
    program = TOP / args.build / f"tests/unit/test_{name}"
    with tempfile.TemporaryDirectory(prefix="ekey.") as scratch:
        os.chmod(scratch, 0o711)  # tests run programs of other users here
        env = {**os.environ, "CMOCKA_MESSAGE_OUTPUT": "TAP", "TMPDIR": scratch}
        return captured([program], UNIT_LIMIT_S, env=env)


def run_unit(args):
    """The cmocka programs, by their TAP lines."""
    count = Count()
    for name in args.unit.split():
        status, output = run_unit_program(args, name)
        one = count_tap(output or "")
        if status != 0 and not one["failed"]:
            one["failed"] = 1
        if one["failed"] or one["skipped"]:
            print(f"test_{name}: {one}\n{output or ''}")
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
    return run_pytest(args, *words_of_guests(*names))


def run_pytest(args, *words):
    """Of suites that run at once each prints what it has said at its end."""
    with tempfile.TemporaryDirectory() as scratch:
        report = pathlib.Path(scratch, "report.xml")
        command = pytest(args, "-rs", f"--junitxml={report}", *words)
        # A make of the tests' own is not to have the settings of ours.
        env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        env |= {"BUILD": args.build, "PYTHONDONTWRITEBYTECODE": "1"}
        left_s = max(1, args.deadline - time.monotonic())
        status, output = (captured if args.at_once else run)(command, left_s, env=env)
        if args.at_once:
            print(output, flush=True)
        count = count_junit(report)
    if status != 0 and not count["failed"]:
        count["failed"] = 1
    return count


def pytest(args, *words):
    return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
            "-o", f"faulthandler_timeout={STUCK_S}", *words,
            *(["-k", args.k] if args.k else [])]


def words_of_guests(*names):
    return [f"tests/rig/test_{name}.py" for name in names]


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


# ---- what there is ----


def list_unit(args):
    for name in args.unit.split():
        _, output = run_unit_program(args, name)
        for test in re.findall(r"^(?:not )?ok \d+ - (\w+)", output or "", re.M):
            yield f"test_{name}::{test}"


def list_pytest(args, *words):
    env = {**os.environ, "BUILD": args.build, "PYTHONDONTWRITEBYTECODE": "1"}
    status, output = captured(pytest(args, "--collect-only", *words), UNIT_LIMIT_S, env=env)
    if status != 0:
        sys.exit(f"tests/run.py: {' '.join(words)}: cannot be listed\n{output}")
    return re.findall(r"^tests/\S+::.*$", output, re.M)


# Of each how it is run, and the names of its tests. The last two run at once.
GUESTS = ("virtio_rng", "libvirt", "clone", "guests")
SYSTEM = (f"--numprocesses={AT_A_TIME}", "--dist=loadgroup", "tests/system")
SUITES = {
    "checks": (run_checks, lambda args: [f"make {target}" for target in args.checks.split()]),
    "unit": (run_unit, list_unit),
    "system": (lambda args: run_pytest(args, *SYSTEM), lambda args: list_pytest(args, SYSTEM[-1])),
    "systemd": (lambda args: run_pytest(args, *words_of_guests("systemd")),
                lambda args: list_pytest(args, *words_of_guests("systemd"))),
    "guest": (lambda args: run_guests(args, "", *GUESTS),
              lambda args: list_pytest(args, *words_of_guests(*GUESTS))),
    "xen": (lambda args: run_guests(args, "xen", "xen"),
            lambda args: list_pytest(args, *words_of_guests("xen"))),
}
EMULATED = ("guest", "xen")


def timed(args, suite):
    started = time.monotonic()
    count = SUITES[suite][0](args)
    return count, f"{suite + ':':8} {count} ({time.monotonic() - started:.1f} s)"


def run_at_once(args, suites):
    print(f"---- {' and '.join(suites)}", flush=True)
    args.at_once = len(suites) > 1
    with concurrent.futures.ThreadPoolExecutor() as pool:
        try:
            return list(pool.map(lambda suite: timed(args, suite), suites))
        except BaseException:
            ENDED.set()
            for child in list(CHILDREN):
                end(child)
            raise


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
    parser.add_argument("--list", action="store_true", help="print the names of the tests")
    args = parser.parse_args()
    expect_signals()
    args.deadline = time.monotonic() + LIMIT_S
    if args.list:
        for suite in args.suites:
            print(*SUITES[suite][1](args), sep="\n")
        return 0
    stages = [[suite] for suite in args.suites if suite not in EMULATED]
    stages += [[suite for suite in args.suites if suite in EMULATED]]
    total, lines = Count(), []
    for stage in filter(None, stages):
        for count, line in run_at_once(args, stage):
            total.add(count)
            lines.append(line)
    print("----", *lines, total, sep="\n")
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
