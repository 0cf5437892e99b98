#!/usr/bin/env python3
"""Counts comments of the product's C code that are not in plain English, and fails above a limit.

tests/tools/check_words.py [--limit PERCENT] [--list] [--messages] [TOP]

Every comment of four words or more counts once, however many of its phrases are listed here. --list prints
each as FILE:LINE; so does a failure. --messages lists the texts in the code (log lines, errors, help) as well;
they are not limited. Files are found by walking the folders, so that an exported tree will do.
"""

import argparse
import os
import re
import sys

# What a reader who did not write the comment stops at, and the plain form.
PHRASES = {
    "'who' as a noun": (r"(?:^|[.;:,] )(?:who|whoever|whom) (?!'s)\w+", "name the client, reader, key or process"),
    "'what' as a noun": (r"(?:^|[.;:] )what (?!to do)\w+ \w+", "name the thing"),
    "nobody, somebody": (r"\b(?:nobody|somebody|whoever)\b", "no client, a client"),
    "anew, for ever, no more": (r"\b(?:anew|for ever|no more\b(?! than)|never again)", "again, without end, not ... any longer"),
    "he, his": (r"\b(?:he|his|him)\b", "the noun"),
    "shall": (r"\bshall\b", "must, or the present tense"),
    "Else at the start": (r"[.;] Else\b", "otherwise, or an if"),
    "words of family": (r"\b(?:heir|estate|parcel|servant|bequeath|former (?:daemon|process))\b", "previous daemon, helper"),
    "words of speech": (r"\b(?:is told|are told|was told|hears?|ears|says so|word of|asks again|is said)\b",
                        "receives, reports, logs, retries"),
}
CASE_MATTERS = {"Else at the start"}
PATTERNS = {name: re.compile(pattern, 0 if name in CASE_MATTERS else re.I) for name, (pattern, _) in PHRASES.items()}
NOT_PRODUCT = {"tests"}
# A comment, or a run of string literals that the compiler joins.
COMMENT = re.compile(r"/\*(.*?)\*/", re.S)
TOKEN = re.compile(r'/\*.*?\*/|((?:"(?:\\.|[^"\\\n])*"\s*)+)', re.S)


def sources(top):
    for folder, folders, names in os.walk(top):
        at_top = os.path.samefile(folder, top)
        folders[:] = sorted(name for name in folders if not name.startswith((".", "build"))
                            and not (at_top and name in NOT_PRODUCT))
        yield from (os.path.join(folder, name) for name in sorted(names) if name.endswith((".c", ".h")))


def comments(text):
    """(offset, words) of each comment that is a sentence."""
    for match in COMMENT.finditer(text):
        words = re.sub(r"\s*\n\s*\*? ?", " ", match[1]).strip()
        if "SPDX" not in words and len(words.split()) >= 4:
            yield match.start(), words


def messages(text):
    for match in TOKEN.finditer(text):
        if match[1]:
            words = "".join(re.findall(r'"((?:\\.|[^"\\\n])*)"', match[1]))
            if len(words.split()) >= 4:
                yield match.start(1), words


def phrases_in(words):
    return [name for name, pattern in PATTERNS.items() if pattern.search(words)]


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def look(top, find):
    """How many texts there are, and (place, words, phrases) of those that are not plain."""
    total, hits = 0, []
    for path in sources(top):
        text = read(path)
        for offset, words in find(text):
            total += 1
            if names := phrases_in(words):
                line = text.count("\n", 0, offset) + 1
                hits.append((f"{os.path.relpath(path, top)}:{line}", words, names))
    return total, hits


def show(hits):
    for place, words, names in hits:
        print(f"{place}: {', '.join(names)}: {words if len(words) <= 160 else words[:157] + '...'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("top", nargs="?", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
    parser.add_argument("--limit", type=float, metavar="PERCENT", help="fail when more comments than that are not plain")
    parser.add_argument("--list", action="store_true", help="print each hit")
    parser.add_argument("--messages", action="store_true", help="list the texts in the code, too")
    args = parser.parse_args()
    total, hits = look(args.top, comments)
    if not total:
        sys.exit(f"words: no comment in {args.top}")
    share = 100 * len(hits) / total
    failed = args.limit is not None and share > args.limit
    if args.list or failed:
        show(hits)
        for name, (_, plain) in PHRASES.items():
            print(f"  {sum(name in names for _, _, names in hits):4} {name} (plain: {plain})")
    if args.messages:
        texts, unplain = look(args.top, messages)
        show(unplain)
        print(f"words: {len(unplain)} of {texts} messages are not plain")
    bound = "" if args.limit is None else f", limit {args.limit:g} %"
    print(f"words: {len(hits)} of {total} comments are not plain ({share:.1f} %{bound})")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
