#!/usr/bin/python3
"""Changes the product in one place at a time and tells which test fails with it.

tests/tools/mutate.py [--cc CC] [--at-a-time N] [--no-system] SEED N

Works in a copy of the tree. For each mutant the unit tests that contain the changed file run until
one fails, under ASan and UBSan as in make check-san. The survivors of all unit tests meet the system tests
in NEAR that took no more than FAST_S without a change. What does not build, or builds to the same object, is
replaced. A row each; the last line: "N killed, N survived".
"""

import argparse
import hashlib
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml

import mutations

TOP = pathlib.Path(__file__).resolve().parents[2]
FAST_S = 20
FACTOR = 10  # of the time without a change, and some seconds: longer is a hang
GRACE_S = 20
REPORT = re.compile(r"ERROR: \w+Sanitizer|: runtime error: ")
SANITIZED = ["BUILD=build-san", "SAN=-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"]
AT_A_TIME = 4  # system tests: they wait more than they compute
# The system tests, tests/system/test_NAME.py, that a change in a folder's code is tried with.
NEAR = {
    "lib": "feed daemon daemon_check egd_listen kernel handover",
    "lib/tls": "tls tls_peers rekey sim_ekeyd memory",
    "lib/priv": "kernel wipe daemon memory crash feed demo",
    "backend/ekey": "rekey faults sim_ekeyd memory hwreport",
    "pool": "device device_fuse egd memory kernel wipe clients",
    "backend": "relay daemon_sources faults wipe tls_peers hwreport memory daemon_reload",
    "backend/transport": "relay daemon_sources faults wipe tls_peers memory daemon_reload",
    "backend/usb": "daemon_sources faults memory",
    "cuse": "device device_fuse device_life crash handover memory daemon",
    "egd": "egd egd_listen egd_hostile haproxy clients handover tls memory wipe",
    "egd/server": "egd egd_listen egd_hostile haproxy clients handover tls memory wipe",
    "daemon/ctl": "daemon_status hwreport rekey_keyring daemon rekey",
    "daemon": "daemon daemon_check daemon_reload daemon_sources daemon_status doctor haproxy handover kernel privileges "
    "service rekey wipe egd_listen relay",
    "daemon/ekeyctl": "rekey rekey_keyring rekey_secret doctor hwreport import_ekeyd daemon_status service haproxy wipe",
    "egd/feed": "feed tls memory",
    "egd/tls": "tls tls_peers egd_listen wipe",
}


def run(command, cwd, limit_s, **env):
    """(exit status or None at the limit, output); its whole process group ends with it."""
    child = subprocess.Popen(
        [str(word) for word in command], cwd=cwd, env={**os.environ, **env}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True)
    try:
        output, _ = child.communicate(timeout=limit_s)
        return child.returncode, output
    except subprocess.TimeoutExpired:
        return None, ""
    finally:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()


def near(*folders):
    names = {name for folder in folders for name in NEAR[folder].split()}
    return [f"tests/system/test_{name}.py" for name in sorted(names)]


def alike(path, name):
    """Words that a source's name and a test's name share."""
    return len(set(re.split(r"[/_]", path.removesuffix(".c"))) & set(name.removesuffix(".py").split("_")))


class Tree:
    """A copy of the tree with a build of its own, and what its tests need without a change."""

    def __init__(self, place, cc, at_a_time):
        self.top, self.scratch, self.cc, self.at_a_time = place / "tree", place / "scratch", cc, at_a_time
        ignore = shutil.ignore_patterns("build*", ".git", "__pycache__")
        shutil.copytree(TOP, self.top, ignore=ignore)
        self.scratch.mkdir()
        self.scratch.chmod(0o711)
        # Link maps tell which test contains which object.
        os.environ["LDFLAGS"] = f"{os.environ.get('LDFLAGS', '')} -Wl,-Map=$@.map"
        names = sorted(source.stem for source in (self.top / "tests/unit").glob("test_*.c"))
        self.must_make(*SANITIZED, "all", *[f"build-san/tests/unit/{name}" for name in names])
        self.objects, self.unit_s = {}, {}
        for name in names:
            self.measure(name)
        self.system_s, self.slow = {}, []

    def make(self, *words):
        return run(["make", "-j2", "CFLAGS=-O2", f"CC={self.cc}", "CI=", *words], self.top, 1800)

    def must_make(self, *words):
        status, output = self.make(*words)
        if status != 0:
            sys.exit(f"mutate: make {' '.join(words)} fails:\n{output}")

    def measure(self, name):
        text = (self.top / f"build-san/tests/unit/{name}.map").read_text()
        self.objects[name] = set(re.findall(r"\.a\((\w+\.o)\)", text))
        self.objects[name] |= set(re.findall(r"build-san/(?:egd/feed|daemon/ekeyctl|tests/sim)/(\w+\.o)", text))
        started = time.monotonic()
        status, output = self.unit(name, 240)
        if status != 0:
            print(f"{name} fails without a change and is left out\n{output}")
            del self.objects[name]
        self.unit_s[name] = time.monotonic() - started

    def unit(self, name, limit_s):
        program = f"build-san/tests/unit/{name}"
        return run([program], self.top, limit_s, TMPDIR=str(self.scratch), CMOCKA_MESSAGE_OUTPUT="TAP")

    def system(self, tests, limit_s, *options):
        """(exit status, {test: (seconds, whether it passed)})"""
        report = self.scratch / "report.xml"
        report.unlink(missing_ok=True)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
        status, _ = run([*command, *options, *tests], self.top, limit_s, BUILD="build", PYTHONDONTWRITEBYTECODE="1")
        if not report.exists():
            return status, {}
        found = {}
        for case in xml.parse(report).getroot().iter("testcase"):
            # The group that --dist=loadgroup puts behind the name is no part of it.
            name = re.sub(r"@\w+$", "", f"{(case.get('classname') or '').replace('.', '/')}.py::{case.get('name')}")
            bad = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
            found[name] = (float(case.get("time")), not bad)
        return status, found

    def spread(self):
        return [f"--numprocesses={self.at_a_time}", "--dist=loadgroup"]

    def measure_system(self, folders):
        """Of the tests that changes in these folders are tried with."""
        self.must_make("all", "test-programs")
        _, found = self.system(near(*folders), 3600, *self.spread())
        if not found:
            sys.exit("mutate: no system test runs: python3-pytest and its xdist are needed")
        self.slow = [name for name, (s, passed) in found.items() if not passed or s > FAST_S]
        self.system_s = {name: s for name, (s, _) in found.items() if name not in self.slow}
        print(f"{len(self.system_s)} of {len(found)} system tests are fast and pass without a change", flush=True)

    def digest(self, path):
        """Of its object; None: it has none in this build."""
        built = (self.top / "build-san" / path).with_suffix(".o")
        return hashlib.sha256(built.read_bytes()).digest() if built.exists() else None


class Judge:
    """Finds the test that fails with a mutant."""

    def __init__(self, tree):
        self.tree, self.kills = tree, {}

    def nearness(self, path, name):
        """Tests of a similar name first, then those that have found most, then the shortest."""
        return (-alike(path, name), -self.kills.get(name, 0), self.tree.unit_s[name])

    def by_unit(self, path):
        tree, object_name = self.tree, f"{pathlib.Path(path).stem}.o"
        names = [name for name, objects in tree.objects.items() if object_name in objects]
        names.sort(key=lambda name: self.nearness(path, name))
        for batch in (names[:6], names[6:]):
            if batch:
                tree.must_make(*SANITIZED, *[f"build-san/tests/unit/{name}" for name in batch])
            for name in batch:
                status, output = tree.unit(name, FACTOR * tree.unit_s[name] + GRACE_S)
                if status != 0:
                    self.kills[name] = self.kills.get(name, 0) + 1
                    how = "hangs" if status is None else "sanitizer" if REPORT.search(output) else None
                    return f"{name} ({how})" if how else name
        return None

    def by_system(self, path):
        tree, files = self.tree, near(os.path.dirname(path))
        files.sort(key=lambda file: -alike(path, file))
        fast = {name: s for name, s in tree.system_s.items() if name.split("::")[0] in files}
        if not fast:
            return None
        tree.must_make("all", "test-programs")
        limit_s = FACTOR * sum(fast.values()) / tree.at_a_time + GRACE_S
        done = set()
        while done < set(fast):
            without = [f"--deselect={name}" for name in {*tree.slow, *done}]
            status, found = tree.system(files, limit_s, "-x", *tree.spread(), *without)
            if status is None or not found:
                return "the system tests (hang)"
            for name in [name for name, (_, passed) in found.items() if not passed and name in fast]:
                # Again, alone: it was not by the load of the machine.
                if tree.system([name], limit_s)[0] == 1:
                    return name.removeprefix("tests/system/")
            done |= set(found) if status != 0 else set(fast)
        return None

    def verdict(self, mutation, find):
        """What `find` says of the mutant: the test that fails; "" if none does; None: it is no mutant."""
        path = self.tree.top / mutation.path
        text, before = path.read_text(), self.tree.digest(mutation.path)
        path.write_text(mutation.apply(text))
        try:
            target = pathlib.Path("build-san", mutation.path).with_suffix(".o")
            if not before or self.tree.make(*SANITIZED, target)[0] != 0 or self.tree.digest(mutation.path) == before:
                return None
            return find(mutation.path) or ""
        finally:
            path.write_text(text)
            self.tree.make(*SANITIZED, target)


def row(mutation, by):
    print(f"{mutation.path}:{mutation.line}\t{mutation.what}\t{by or 'SURVIVED'}", flush=True)


def try_all(judge, args):
    """(killed, the survivors, how many were replaced)"""
    chance = random.Random(args.seed)
    lines = mutations.of_tree(TOP)
    chance.shuffle(lines)
    killed = replaced = 0
    left = []
    for line in lines:
        mutation = chance.choice(line)
        by = judge.verdict(mutation, judge.by_unit)
        if by is None:
            replaced += 1
        elif by:
            killed += 1
            row(mutation, by)
        else:
            left.append(mutation)
            print(f"{mutation.path}:{mutation.line}\t{mutation.what}\tpasses the unit tests", flush=True)
        if killed + len(left) == args.n:
            break
    survivors = []
    if left and not args.no_system:
        judge.tree.measure_system({os.path.dirname(mutation.path) for mutation in left})
    for mutation in left:
        by = "" if args.no_system else judge.verdict(mutation, judge.by_system)
        row(mutation, by)
        if not by:
            survivors.append(mutation)
    return args.n - len(survivors), survivors, replaced


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--at-a-time", type=int, default=AT_A_TIME, help="system tests")
    parser.add_argument("--no-system", action="store_true", help="unit tests only")
    parser.add_argument("seed", type=int)
    parser.add_argument("n", type=int)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ekey.mutate.") as place:
        pathlib.Path(place).chmod(0o711)
        judge = Judge(Tree(pathlib.Path(place), args.cc, args.at_a_time))
        killed, survivors, replaced = try_all(judge, args)
    print(f"seed {args.seed}; {replaced} more did not build, or to the same object")
    print(f"{killed} killed, {len(survivors)} survived")


if __name__ == "__main__":
    main()
