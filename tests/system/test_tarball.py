"""`make check` in an exported tree: no repository, no git, no apt; and no check passes on nothing."""

import os
import shutil

import pytest

from processes import BUILD, TOP, run

# A check, and the files without which it has nothing to look at.
NOTHING = [
    ("headers", "**/*.h"),
    ("floors", "tests/floors"),
    ("floors", "pool/*"),
    ("words", "**/*.[ch]"),
    ("knots", "**/*.c"),
    ("floors", "**/*.[ch]"),
    ("docs", "egd/feed/options.h"),
    ("docs", "daemon/ekeyctl/tool.h"),
    ("fuzz-replay", "tests/fuzz/corpus/frame/*"),
    ("fuzz-replay fuzz_tests=", None),
    ("unit unit_tests=", None),
    ("fmt-check", "**/*.[ch]"),
    ("analyze", "**/*.c"),
]


class Tree:
    """A copy of the sources; whatever calls git or apt there fails, and is told of."""

    def __init__(self, place):
        self.place, self.called, self.tools = place / "tree", place / "called", place / "bin"
        shutil.copytree(TOP, self.place, ignore=shutil.ignore_patterns(".git", "build*", "__pycache__"))
        self.tools.mkdir()
        for name in ("git", "apt-get"):
            (self.tools / name).write_text(f"#!/bin/sh\necho {name} $* >>{self.called}\nexit 127\n")
            (self.tools / name).chmod(0o755)

    def copy_build(self):
        """As of the same age: nothing is built again."""
        shutil.copytree(BUILD, self.place / "build")

    def make(self, *words):
        env = {**os.environ, "PATH": f"{self.tools}:{os.environ['PATH']}"}
        return run("make", "-C", str(self.place), "BUILD=build", *words, env=env, timeout=300)


@pytest.fixture
def tree(place):
    return Tree(place)


def test_check_passes_in_an_exported_tree_and_calls_neither_git_nor_apt(tree):
    tree.copy_build()
    result = tree.make("check")
    assert result.returncode == 0, result.stdout
    assert not tree.called.exists(), tree.called.read_text()
    for count in ("floors: ", "words: ", "knots: ", "docs: ", "headers: ", "unit: ", "fuzz_frame: "):
        assert count in result.stdout


@pytest.mark.parametrize("check, files", NOTHING)
def test_check_fails_that_has_nothing_to_look_at(tree, check, files):
    if check == "fuzz-replay":
        tree.copy_build()
    for path in list(tree.place.glob(files)) if files else []:
        path.unlink()
    result = tree.make(*check.split())
    assert result.returncode != 0, result.stdout


@pytest.mark.parametrize("what, target, names", [
    ("check", "check", (" fuse3 ", " cmocka ", "tests/tools/packages.sh build test-unit`")),
    ("build", "all", (" fuse3 ", "tests/tools/packages.sh build`")),
    ("build", "ekey-feed", (" libssl ", "tests/tools/packages.sh build`")),
])
def test_what_is_missing_is_named_in_one_line(tree, what, target, names):
    result = tree.make(target, "CC=no-such-compiler", "PKG_CONFIG_LIBDIR=/nowhere")
    assert result.returncode != 0
    (line,) = [line for line in result.stdout.splitlines() if line.startswith(f"{what}: ")]
    for name in (" no-such-compiler ", *names):
        assert name in line


def test_the_agent_needs_none_of_the_daemons_libraries(tree):
    result = tree.make("ekey-feed", "TLS=0", "PKG_CONFIG_LIBDIR=/nowhere")
    assert result.returncode == 0, result.stdout
