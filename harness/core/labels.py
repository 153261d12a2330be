"""Which output of a model belongs to which class, according to the names of its labels."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_NUMBERED = re.compile(r"([0-9]{1,6})[\s:,;]+(\S.*)")


def places(labels: Sequence[str], classes: Sequence[str]) -> tuple[int, ...] | None:
    """For each class the place of its label; None if one has none, or more than one. Case, spaces,
    hyphens and underscores play no part, nor do the numbers that some programs write before labels
    (`0 cat`, `1: dog`), unless the classes have them too."""
    exact = _places(labels, classes)
    return _places(_without_numbers(labels), classes) if exact is None else exact


def _without_numbers(labels: Sequence[str]) -> Sequence[str]:
    numbered = [_NUMBERED.fullmatch(label) for label in labels]
    if all(match and int(match[1]) == place for place, match in enumerate(numbered)):
        return [match[2] for match in numbered if match]
    return labels


def _places(labels: Sequence[str], classes: Sequence[str]) -> tuple[int, ...] | None:
    found: dict[str, list[int]] = {}
    for place, label in enumerate(labels):
        found.setdefault(_plain(label), []).append(place)
    chosen = [found.get(_plain(name), []) for name in classes]
    if any(len(at) != 1 for at in chosen):
        return None
    return tuple(at[0] for at in chosen)


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(text.replace("_", " ").replace("-", " ").split())
