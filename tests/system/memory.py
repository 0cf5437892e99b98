"""The memory of our processes, which only root can look into."""

import pathlib
import re

import pytest

PAGE = 4096
READABLE_MAX = 1 << 32  # bytes of one mapping; a sanitizer's shadow memory is larger by far


def memory(pid, dumped_only=False):
    """The writable memory of a process; without what is left out of core dumps, if so asked."""
    regions, flags = [], {}
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as smaps:
        for line in smaps:
            if match := re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line):
                regions.append(at := (int(match[1], 16), int(match[2], 16)))
                writable = "w" in match[3]
            elif line.startswith("VmFlags:"):
                flags[at] = writable and not (dumped_only and " dd" in line)
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for start, end in regions:
            if end - start > READABLE_MAX:
                pytest.skip("built with a sanitizer: its memory is too large to be searched")
            if flags[start, end]:
                mem.seek(start)
                yield mem.read(end - start)


def family(pid):
    """This process and all below it."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid] + [one for child in children for one in family(int(child))]


def name(pid):
    return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()


def written(region):
    """Its pages that are not all zeros: most of a process's memory is."""
    pages = (region[at : at + PAGE] for at in range(0, len(region), PAGE))
    return b"".join(page for page in pages if page.count(0) != len(page))


def holders(pid, pieces):
    """{process's name: indices of the pieces that are in its memory}"""
    found = {}
    for one in family(pid):
        text = b"".join(written(region) for region in memory(one))
        here = [i for i, piece in enumerate(pieces) if piece in text]
        if here:
            found[name(one)] = here
    return found
