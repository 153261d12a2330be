"""Text for people: foreign text made safe for a terminal, nearest names, plurals."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# Signs of tables and charts, for an encoding that lacks them.
IN_ASCII = str.maketrans(
    "±µ–×★○☆◇·✓✗→…─│╭╮╰╯‡†§" + "▏▎▍▌▋▊▉█" + "▁▂▃▄▅▆▇",  # noqa: RUF001
    "~u-x*o*o.+x>.-|++++!!#" + "########" + "_.:-=+#",
)


def clean(text: bytes | str, max_length: int = 500) -> str:
    """`text` as one line: control and direction characters gone, no longer than `max_length`."""
    return clean_lines(text, max_length).replace("\n", " ").strip()


def clean_lines(text: bytes | str, max_length: int = 1 << 20) -> str:
    """`text` with its lines and tabs; what `printable` would escape is shown as U+FFFD."""
    if isinstance(text, bytes):
        text = text[: max_length * 4].decode("utf-8", "replace")
    text = text.replace("\r\n", "\n")[:max_length]
    return "".join(c if c in "\n\t" or _harmless(c) else "\ufffd" for c in text)


def printable(text: str) -> str:
    """`text` with everything that could steer a terminal or reverse a line written as an escape:
    a hostile file name or phone must not reach the reader as anything but text."""
    if text.isprintable():
        return text
    return "".join(c if _harmless(c) else _escape(c) for c in text)


def printable_lines(lines: Iterable[str]) -> str:
    """Each line printable, and only these line breaks."""
    return "\n".join(printable(line) for line in lines if line)


def name(text: str) -> str:
    """A name, printable, and quoted if it would otherwise be invisible."""
    return printable(text) if text.strip() else repr(text)


def _harmless(c: str) -> bool:
    """Whether the character does not move the cursor, colour the text or change its reading
    order."""
    return c.isprintable() or unicodedata.category(c) == "Zs"


def _escape(c: str) -> str:
    return c.encode("unicode_escape").decode("ascii")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """How to correct a mistyped name: "did you mean 'adb_tcp'?" with the nearest of `known` and
    those that contain it, three at most; else all of `known`."""
    import difflib

    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    near += [k for k in known if name and name in k and k not in near][: 3 - len(near)]
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    return f"choose from {', '.join(known)}" if known else "there is none"


def count(number: int, one: str, many: str = "") -> str:
    """'1 launch', '3 launches'; `many` is `one` with an s unless it is given."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def listed(words: Iterable[str]) -> str:
    """`a, b and c`, of at least one; a set is sorted first."""
    found = sorted(words) if isinstance(words, set) else list(words)
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}"


def is_sha256(text: str) -> bool:
    """Whether `text` is a SHA-256 digest in lower-case hexadecimal digits."""
    return re.fullmatch(r"[0-9a-f]{64}", text) is not None


# msgspec's names of types, and Python's of what YAML can hold -> ours.
_TYPES = {
    "NoneType": "nothing",
    "array": "a list",
    "bool": "true or false",
    "date": "a date",
    "datetime.date": "a date",
    "dict": "a mapping",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "null": "nothing",
    "object": "a mapping",
    "str": "text",
}


def expected_in_words(error: str) -> str:
    """msgspec's message in plain words: `expected a list, such as [1], but found text`."""
    if missing := re.fullmatch(r"Object missing required field `(.+)`", error):
        return f"the key {missing[1]!r} is missing"

    def in_words(types: re.Match[str]) -> str:
        return " or ".join(_TYPES.get(name, name) for name in types[1].split(" | "))

    words = re.sub(r"`([\w.| ]+)`", in_words, error).replace(", got ", ", but found ")
    if error == "Expected `array`, got `int`":
        words = words.replace("a list", "a list, such as [1]")
    return words[:1].lower() + words[1:]


def place_and_expected(error: str) -> str:
    """`sparsity: expected a number, but found text` from msgspec's message."""
    what, _, where = error.partition(" - at `$")
    place = where.rstrip("`").removeprefix(".")
    return f"{place}: {expected_in_words(what)}" if place else expected_in_words(what)


def integer(text: str, most: int = 10**15) -> int | None:
    """The whole number that `text` is in plain digits, from 0 to `most`; None for anything else.
    Python's own int() takes other scripts' digits, and refuses 4301 of them with an exception."""
    text = text.strip()
    if not text.isascii() or not text.isdigit() or len(text) > 30 or int(text) > most:
        return None
    return int(text)


def plain_name(name: str) -> str:
    """`name` as the name of a file: every character but letters, digits and `-_.` becomes `_`."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)


# --- commands to be pasted -------------------------------------------------------------------


def command(*words: object) -> str:
    """A command of the harness as it can be pasted into a shell, each word quoted if it must be:
    `python -m harness report 'my runs/20261123-101500-abcd'`."""
    return " ".join(map(quoted, ("python", "-m", "harness", *words)))


def quoted(word: object) -> str:
    """A word quoted for a shell, and printable."""
    import shlex

    text = str(word)
    if text.isprintable():
        return shlex.quote(text)
    # What cannot be printed needs the quotes that take escapes (bash, zsh, ksh).
    return f"$'{''.join(map(_shell_escape, text))}'"


def _shell_escape(c: str) -> str:
    if c in "\\'":
        return f"\\{c}"
    if c.isprintable():
        return c
    return "".join(f"\\x{byte:02x}" for byte in c.encode("utf-8", "surrogateescape"))
