"""Foreign text in GitHub-flavoured markdown. Names stand in code spans, where nothing is markup, a
link or a mention; other text is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable

from harness.core import units

_SPECIAL = re.compile(r"([\\`*_\[\]|~>$])")
_BLOCK_START = re.compile(r"^(\d*)([-+.)=])(?=\s|$)")


def code(text: str) -> str:
    """A code span around any text, with a fence that is longer than the backticks in it."""
    text = units.name(text)
    longest = max(map(len, re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def prose(text: str) -> str:
    """Text that stays text: no markup, no HTML, no list, no mention of a user or an issue."""
    text = units.printable(text).replace("&", "&amp;").replace("<", "&lt;")
    text = _BLOCK_START.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", text))
    return text.replace("@", "@\u200b").replace("#", "#\u200b")


def row(cells: Iterable[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def cell(text: str) -> str:
    """A code span inside a table, where a pipe would end the cell."""
    return code(text).replace("|", "\\|")
