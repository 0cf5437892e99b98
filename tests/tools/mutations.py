"""Semantic changes of C code, one at a time, found by its text.

Each keeps the number of lines, so that what follows it in the object file stays the same.
"""

import dataclasses
import re

FOLDERS = ("lib lib/tls lib/priv backend/ekey pool backend backend/usb backend/transport cuse egd egd/server daemon/ctl daemon"
           " daemon/ekeyctl egd/feed").split()
BLANK = re.compile(r"[^\n]")
NOT_CODE = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'|^#(?!define)[^\n]*', re.S | re.M)
# What is only said, and what holds by our own promise.
SAID = re.compile(r"\b(?:log_(?:err|warn|info|debug)\w*|assert|static_assert|_Static_assert)\(")
FUNCTION = re.compile(r"^((?:static |const |struct |enum |unsigned )*\w+ ?\**)\n(\w+)\([^;{}]*\)\n\{\n", re.M)
STATEMENT = re.compile(r"^\t+(?:\(void\))?\w+(?:->\w+|\.\w+)*\(", re.M)
LEAK = re.compile(r"\s*(?:free|event_free|free_event)\($")  # found by make check-san, and by no test alone
ASSIGNMENT = re.compile(
    r"^\t+(?:\*?\(?\w[\w.\[\]>*-]*\)?) (?:[-+|&^]|<<|>>)?= [^;{]*;\n|^\t+[\w.>\[\]-]+(?:\+\+|--);\n", re.M)
CONDITION = re.compile(r"\b(?:if|while) (?=\()")
SWAPS = {
    " < ": " <= ", " <= ": " < ", " > ": " >= ", " >= ": " > ", " == ": " != ", " != ": " == ",
    " && ": " || ", " || ": " && ", " + ": " - ", " - ": " + ", " += ": " -= ", " -= ": " += ",
    " | ": " & ", " & ": " | ", "++": "--", "--": "++",
}
SWAP = re.compile("|".join(re.escape(old) for old in sorted(SWAPS, key=len, reverse=True)))
# A condition of two lines is broken behind its operator.
AT_END = re.compile(r" (&&|\|\||\+|-|==|!=|<=?|>=?)$", re.M)
ONE_MATTERS = 64  # a longer time or a larger limit is doubled
# {0} is only the way to clear a struct.
NUMBER = re.compile(r"(?<![\w.])(?!(?<=\{)0\})(?:0[xX][0-9a-fA-F]+|\d+)(?=[uUlL]*\b)")
TRUTH = re.compile(r"\b(?:true|false)\b")
RETURN = re.compile(r"\breturn (?!0;)([^;]+);")
NOT = re.compile(r"!(?=[\w(])")


@dataclasses.dataclass(frozen=True)
class Mutation:
    path: str
    start: int
    end: int
    new: str
    line: int
    what: str

    def apply(self, text):
        """The new text: what is dropped leaves its line breaks."""
        old = text[self.start : self.end]
        breaks = "\n" * (old.count("\n") - self.new.count("\n"))
        return text[: self.start] + self.new + breaks + text[self.end :]


def closing(text, opening):
    """Behind the parenthesis that belongs to the one at `opening`."""
    depth = 0
    for i in range(opening, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if depth == 0:
            return i + 1
    return len(text)


def code_of(text):
    """The same text with blanks for comments, strings, directives, log lines and asserts."""
    code = NOT_CODE.sub(lambda m: BLANK.sub(" ", m[0]), text)
    while m := SAID.search(code):
        end = closing(code, m.end() - 1)
        code = code[: m.start()] + BLANK.sub(" ", code[m.start() : end]) + code[end:]
    return code


def edits(code):
    """Yields (start, end, new text) for every change that an operator makes of it."""
    for m in SWAP.finditer(code):
        yield m.start(), m.end(), SWAPS[m[0]]
    for m in AT_END.finditer(code):
        yield m.start(), m.end(), SWAPS[f" {m[1]} "].rstrip()
    for m in NUMBER.finditer(code):
        number = int(m[0], 8 if re.fullmatch("0[0-7]+", m[0]) else 0)
        yield m.start(), m.end(), str(number + 1 if number <= ONE_MATTERS else 2 * number)
    for m in TRUTH.finditer(code):
        yield m.start(), m.end(), "false" if m[0] == "true" else "true"
    for m in NOT.finditer(code):
        yield m.start(), m.end(), ""
    for m in RETURN.finditer(code):
        yield m.start(), m.end(), "return 0;"
    for m in CONDITION.finditer(code):
        end = closing(code, m.end())
        yield m.end(), end, f"(!{code[m.end():end]})"
    for m in STATEMENT.finditer(code):
        end = closing(code, m.end() - 1)
        if code[end : end + 2] == ";\n" and not LEAK.match(m[0]):
            yield m.start(), end + 1, "\t;"
    for m in ASSIGNMENT.finditer(code):
        yield m.start(), m.end() - 1, "\t;"
    for m in FUNCTION.finditer(code):
        empty = m[1].split()[-1] == "void"
        yield m.end() - 2, m.end() - 1, "{ return;" if empty else "{ return 0;"


def shown(text):
    return " ".join(text.split()) or "nothing"


def of_file(path, text):
    """{line: its mutations}"""
    code, found = code_of(text), {}
    for start, end, new in edits(code):
        if code[start:end] != text[start:end]:  # holds a string: as it is in the source
            new = new.replace(code[start:end], text[start:end])
        line = text.count("\n", 0, start + len(code[start:end]) - len(code[start:end].lstrip())) + 1
        around = shown(text.splitlines()[line - 1])
        what = f"{shown(text[start:end])} -> {shown(new)}"
        what += "" if around == shown(text[start:end]) else f" in: {around}"
        found.setdefault(line, []).append(Mutation(path, start, end, new, line, what))
    return found


def of_tree(top):
    """The lines of product code that can be changed, each a list of mutations."""
    lines = []
    for folder in FOLDERS:
        for path in sorted((top / folder).glob("*.c")):
            lines += of_file(str(path.relative_to(top)), path.read_text()).values()
    return lines
