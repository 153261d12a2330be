"""Which output of a model belongs to which class, according to the names of its labels."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def places(labels: Sequence[str], classes: Sequence[str]) -> tuple[int, ...] | None:
    """For each class the place of its label; None if one has none, or more than one. Case, spaces,
    hyphens and underscores play no part."""
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
