"""Text that others wrote, made fit for a terminal: the one place where it enters."""

from __future__ import annotations

import unicodedata

# Characters that move the cursor, colour the text, or make it read in another order.
_HARMFUL = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def clean(text: bytes | str, max_length: int = 500) -> str:
    """`text` as one line: control and direction characters gone, no longer than `max_length`."""
    return clean_lines(text, max_length).replace("\n", " ").strip()


def clean_lines(text: bytes | str, max_length: int = 1 << 20) -> str:
    """`text` with its lines and tabs, other control and direction characters shown as U+FFFD."""
    if isinstance(text, bytes):
        text = text[: max_length * 4].decode("utf-8", "replace")
    text = text.replace("\r\n", "\n")[:max_length]
    return "".join(
        c if c in "\n\t" or unicodedata.category(c) not in _HARMFUL else "\ufffd" for c in text
    )


def integer(text: str, most: int = 10**15) -> int | None:
    """The whole number that `text` is in plain digits, from 0 to `most`; None for anything else.
    Python's own int() takes other scripts' digits, and refuses 4301 of them with an exception."""
    text = text.strip()
    if not text.isascii() or not text.isdigit() or len(text) > 30 or int(text) > most:
        return None
    return int(text)


def plain_name(name: str) -> str:
    """`name` as the name of a file, wherever it is from."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
