# SPDX-License-Identifier: MIT
"""What a benchmark says: one row of the table for each thing that was measured."""

import statistics
from dataclasses import dataclass

ROUNDS = 3  # of each measurement; the median counts


@dataclass
class Row:
    what: str
    ours: str
    peer: str = "-"
    ratio: str = "-"
    aim: str = ""


def missing(what, why):
    """A row that is not measured."""
    return Row(what, "not measured: " + " ".join(str(why).split()), peer="", ratio="")


def compare(what, ours, peer, form, aim):
    """Medians of both, and how many times the peer's ours is."""
    median = statistics.median(ours)
    if not peer:
        return Row(what, form(median), aim=aim)
    other = statistics.median(peer)
    return Row(what, form(median), form(other), f"{median / other:.2f}" if other else "-", aim)


def million(value):
    return f"{value / 1e6:.2f} M"


def micro(ns):
    return f"{ns / 1e3:.1f} us"


def thousand(value):
    return f"{value / 1e3:.1f} k/s"


def megabyte(value):
    return f"{value / 1e6:.0f} MB/s"
