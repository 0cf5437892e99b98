#!/usr/bin/python3
"""Changes the product in one place at a time and tells which test fails with it.

tests/tools/mutate.py [--cc CC] [--no-system] SEED N

Works in a copy of the tree. For each mutant the unit tests that contain the changed file run until
one fails, then the system tests in NEAR that took no more than FAST_S without it. What does not build, or
builds to the same object, is replaced. A row each; the last line: "N killed, N survived".
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
AT_A_TIME = 4
# The system tests, tests/system/test_NAME.py, that a change in a folder's code is tried with.
NEAR = {
    "base": "feed daemon daemon_check egd_listen kernel",
    "crypto": "tls tls_peers rekey sim_ekeyd memory",
    "priv": "kernel wipe daemon memory crash feed demo",
    "ekey": "rekey faults sim_ekeyd memory hwreport",
    "pool": "device device_fuse egd memory kernel wipe clients",
    "backend": "relay daemon_sources faults wipe tls_peers hwreport memory daemon_reload",
    "cuse": "device device_fuse device_life crash handover memory daemon",
    "egd": "egd egd_listen egd_hostile haproxy clients tls memory wipe",
    "kernel": "kernel memory wipe",
    "ctl": "daemon_status hwreport rekey_keyring daemon rekey",
    "daemon": "daemon daemon_check daemon_reload daemon_sources daemon_status haproxy kernel rekey wipe egd_listen relay",
    "tool": "rekey rekey_keyring rekey_secret doctor hwreport import_ekeyd daemon_status wipe",
    "guest": "feed tls memory",
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


class Tree:
    """A copy of the tree with a build of its own, and what its tests need without a change."""

    def __init__(self, place, cc, system):
        self.top, self.scratch, self.cc = place / "tree", place / "scratch", cc
        ignore = shutil.ignore_patterns("build*", ".git", "__pycache__")
        shutil.copytree(TOP, self.top, ignore=ignore)
        self.scratch.mkdir()
        self.scratch.chmod(0o711)
        # Link maps tell which test contains which object.
        os.environ["LDFLAGS"] = f"{os.environ.get('LDFLAGS', '')} -Wl,-Map=$@.map"
        self.must_make("all", "test-programs")
        self.objects, self.unit_s = {}, {}
        for program in sorted((self.top / "build/tests/unit").glob("test_*.map")):
            self.measure(program.stem)
        self.system_s = self.measure_system() if system else {}

    def make(self, *targets):
        return run(["make", "-j2", "CFLAGS=-O2", f"CC={self.cc}", "CI=", *targets], self.top, 600)

    def must_make(self, *targets):
        status, output = self.make(*targets)
        if status != 0:
            sys.exit(f"mutate: make {' '.join(targets)} fails:\n{output}")

    def measure(self, name):
        text = (self.top / f"build/tests/unit/{name}.map").read_text()
        self.objects[name] = set(re.findall(r"\.a\((\w+\.o)\)", text))
        self.objects[name] |= set(re.findall(r"build/(?:guest|tool|sim)/(\w+\.o)", text))
        started = time.monotonic()
        status, output = self.unit(name, 120)
        if status != 0:
            print(f"{name} fails without a change and is left out\n{output}")
            del self.objects[name]
        self.unit_s[name] = time.monotonic() - started

    def unit(self, name, limit_s):
        program = f"build/tests/unit/{name}"
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

    def measure_system(self):
        spread = [f"--numprocesses={AT_A_TIME}", "--dist=loadgroup"]
        _, found = self.system(near(*NEAR), 1800, *spread)
        self.slow = [name for name, (s, passed) in found.items() if not passed or s > FAST_S]
        fast = {name: s for name, (s, _) in found.items() if name not in self.slow}
        print(f"{len(fast)} of {len(found)} system tests are fast and pass without a change", flush=True)
        return fast

    def digest(self, path):
        """Of its object; None: it has none in this build."""
        built = (self.top / "build" / path).with_suffix(".o")
        return hashlib.sha256(built.read_bytes()).digest() if built.exists() else None


class Judge:
    """Finds the test that fails with a mutant."""

    def __init__(self, tree):
        self.tree, self.kills = tree, {}

    def nearness(self, path, name):
        """Tests of a similar name first, then those that have found most, then the shortest."""
        same = set(pathlib.Path(path).stem.split("_")) & set(name.split("_"))
        return (-len(same), -self.kills.get(name, 0), self.tree.unit_s[name])

    def by_unit(self, path):
        tree, object_name = self.tree, f"{pathlib.Path(path).stem}.o"
        names = [name for name, objects in tree.objects.items() if object_name in objects]
        names.sort(key=lambda name: self.nearness(path, name))
        for batch in (names[:6], names[6:]):
            if batch:
                tree.must_make(*[f"build/tests/unit/{name}" for name in batch])
            for name in batch:
                status, _ = tree.unit(name, FACTOR * tree.unit_s[name] + GRACE_S)
                if status != 0:
                    self.kills[name] = self.kills.get(name, 0) + 1
                    return name + (" (hangs)" if status is None else "")
        return None

    def by_system(self, path):
        tree, files = self.tree, near(path.split("/")[0])
        fast = {name: s for name, s in tree.system_s.items() if name.split("::")[0] in files}
        if not fast:
            return None
        tree.must_make("all", "test-programs")
        limit_s = FACTOR * sum(fast.values()) / AT_A_TIME + GRACE_S
        done = set()
        while done < set(fast):
            without = [f"--deselect={name}" for name in {*tree.slow, *done}]
            status, found = tree.system(files, limit_s, "-x", f"--numprocesses={AT_A_TIME}", "--dist=loadgroup", *without)
            if status is None or not found:
                return "the system tests (hang)"
            for name in [name for name, (_, passed) in found.items() if not passed and name in fast]:
                # Again, alone: it was not by the load of the machine.
                if tree.system([name], limit_s)[0] == 1:
                    return name.removeprefix("tests/system/")
            done |= set(found) if status != 0 else set(fast)
        return None

    def verdict(self, mutation):
        """The test that fails; "" if none does; None: it is no mutant."""
        path = self.tree.top / mutation.path
        text, before = path.read_text(), self.tree.digest(mutation.path)
        path.write_text(mutation.apply(text))
        try:
            target = pathlib.Path("build", mutation.path).with_suffix(".o")
            if not before or self.tree.make(target)[0] != 0 or self.tree.digest(mutation.path) == before:
                return None
            return self.by_unit(mutation.path) or self.by_system(mutation.path) or ""
        finally:
            path.write_text(text)
            self.tree.make(target)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--no-system", action="store_true", help="unit tests only")
    parser.add_argument("seed", type=int)
    parser.add_argument("n", type=int)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    lines = mutations.of_tree(TOP)
    chance.shuffle(lines)
    killed = survived = replaced = 0
    with tempfile.TemporaryDirectory(prefix="ekey.mutate.") as place:
        pathlib.Path(place).chmod(0o711)
        judge = Judge(Tree(pathlib.Path(place), args.cc, not args.no_system))
        for line in lines:
            mutation = chance.choice(line)
            by = judge.verdict(mutation)
            if by is None:
                replaced += 1
                continue
            killed, survived = killed + (by != ""), survived + (by == "")
            print(f"{mutation.path}:{mutation.line}\t{mutation.what}\t{by or 'SURVIVED'}", flush=True)
            if killed + survived == args.n:
                break
    print(f"seed {args.seed}; {replaced} more did not build, or to the same object")
    print(f"{killed} killed, {survived} survived")


if __name__ == "__main__":
    main()
