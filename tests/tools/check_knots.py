#!/usr/bin/env python3
"""Counts knots: sets of the product's object files that need each other's symbols in a circle.

tests/tools/check_knots.py [--limit N] [--list] [BUILD]

BUILD is the folder where make has built the programs. --list prints each knot, and for each of its files what it
takes from the others; so does a failure. Objects whose source is gone are left out.
"""

import argparse
import os
import subprocess
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
NOT_PRODUCT = {"tests"}


def objects(build):
    for folder, folders, names in os.walk(build):
        if os.path.samefile(folder, build):
            folders[:] = [name for name in folders if name not in NOT_PRODUCT]
        for name in sorted(names):
            path = os.path.join(folder, name)
            source = os.path.join(TOP, os.path.relpath(path, build)[:-2] + ".c")
            if name.endswith(".o") and os.path.exists(source):
                yield path


def symbols(paths):
    """Who defines each symbol, and which undefined symbols each object has."""
    defined, needed = {}, {path: set() for path in paths}
    out = subprocess.run(["nm", "-A", *paths], capture_output=True, text=True, check=True).stdout
    for line in out.splitlines():
        path, _, rest = line.partition(":")
        words = rest.split()
        if len(words) == 3 and words[1] in "TDBRVW":
            defined.setdefault(words[2], path)
        elif len(words) == 2 and words[0] == "U":
            needed[path].add(words[1])
    return defined, needed


def uses(paths):
    """Of each object the others that it needs, with the symbols."""
    defined, needed = symbols(paths)
    graph = {path: {} for path in paths}
    for path, names in needed.items():
        for name in names:
            if defined.get(name, path) != path:
                graph[path].setdefault(defined[name], []).append(name)
    return graph


def reachable(graph, start):
    seen, left = set(), [start]
    while left:
        for other in graph[left.pop()]:
            if other not in seen:
                seen.add(other)
                left.append(other)
    return seen


def knots(graph):
    """The sets in which each object reaches each other one."""
    reach = {path: reachable(graph, path) for path in graph}
    done = set()
    for path in graph:
        if path not in done and path in reach[path]:
            knot = {other for other in reach[path] if path in reach[other]}
            done |= knot
            yield sorted(knot)


def show(build, graph, knot):
    short = {path: os.path.relpath(path, build)[:-2] for path in knot}
    print("knot:", *(short[path] + ".c" for path in knot))
    for path in knot:
        for other in knot:
            if names := graph[path].get(other):
                print(f"  {short[path]}.c -> {short[other]}.c: {' '.join(sorted(names))}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", nargs="?", default=os.path.join(TOP, "build"))
    parser.add_argument("--limit", type=int, metavar="N", help="fail when there are more knots than that")
    parser.add_argument("--list", action="store_true", help="print each knot")
    args = parser.parse_args()
    paths = list(objects(args.build))
    if not paths:
        sys.exit(f"knots: no object of the product in {args.build}")
    graph = uses(paths)
    found = list(knots(graph))
    failed = args.limit is not None and len(found) > args.limit
    if args.list or failed:
        for knot in found:
            show(args.build, graph, knot)
    bound = "" if args.limit is None else f" (limit {args.limit})"
    print(f"knots: {len(found)} in {len(paths)} objects{bound}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
