"""What a data set holds, shown before anything is trained on it."""

from __future__ import annotations

from typing import Literal

from harness.core.base import Value
from harness.core.units import printable, times

Split = Literal["train", "validation", "test"]

SPLITS: tuple[Split, ...] = ("train", "validation", "test")

MOST_NAMED = 5


class Left(Value, frozen=True):
    """A file that is not used, its path inside the folder, and why."""

    path: str
    reason: str


class DataSummary(Value, frozen=True):
    """`counts` holds distinct images by class and split; all names are safe to print.

    `copies` counts files with the pixels of another one, which is used in their place;
    `straddling` names the images that the folder's own split has on two sides, `conflicts` those
    that it has in two classes. `refused` are broken or hostile images, `skipped` other files;
    both are whole lists. `colour` counts the used images with colours, `imbalance` is the
    size of the largest class over that of the smallest. `fingerprints` change with the images of
    a split and their labels.

    `colour` images are shown in colour to models of three channels and in grey to those of one.
    `depth` says which range is in use of images of more than eight bits. `resaved` names images
    that are re-encoded or resized copies of one another. They are kept on one side of the split;
    `resaved_left_out` counts those that the user's split had on an earlier side too.
    """

    name: str
    counts: dict[str, dict[Split, int]]
    split_by: str
    imbalance: float = 1.0
    colour: int = 0
    copies: int = 0
    straddling: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    refused: tuple[Left, ...] = ()
    skipped: tuple[Left, ...] = ()
    notes: tuple[str, ...] = ()
    fingerprints: dict[Split, str] = {}
    depth: tuple[str, ...] = ()
    resaved: tuple[str, ...] = ()
    resaved_left_out: int = 0

    @property
    def total(self) -> int:
        """Distinct images that are used."""
        return sum(self.count(split) for split in SPLITS)

    def count(self, split: Split) -> int:
        """Distinct images of one split."""
        return sum(of_class[split] for of_class in self.counts.values())

    def brief(self) -> str:
        """One sentence: what was used, and how many were not and could have been missed."""
        splits = ", ".join(f"{self.count(split):,} {split}" for split in SPLITS)
        said = [f"{self.name}: {self.total:,} images in {len(self.counts)} classes ({splits})"]
        counts = {
            "in colour": self.colour,
            "duplicates": self.copies,
            "in two classes": len(self.conflicts),
            "refused": len(self.refused),
        }
        said += [f"{count:,} {what}" for what, count in counts.items() if count]
        return ", ".join(said)

    def lines(self) -> list[str]:
        """The lines that a terminal shows, as plain text."""
        lines = [f"{self.name}: {self.total:,} images in {len(self.counts)} classes"]
        lines += self._table()
        lines.append(f"split: {self.split_by}")
        if self.imbalance >= 1.5:
            lines.append(f"imbalance: the largest class has {times(self.imbalance)} the smallest")
        if self.colour:
            lines.append(
                f"colour: {self.colour:,} of {self.total:,} images, shown in grey to models of one "
                "channel"
            )
        lines += [f"depth: {line}" for line in self.depth]
        if self.copies:
            files = "1 file has" if self.copies == 1 else f"{self.copies:,} files have"
            lines.append(f"duplicates: {files} the pixels of another, left out")
        left = f", {self.resaved_left_out:,} left out" if self.resaved_left_out else ""
        lines += _named(f"saved again, kept on one side of the split{left}", self.resaved)
        lines += _named("on two sides of the split, used on the later", self.straddling)
        lines += _named("the same image in two classes, used in neither", self.conflicts)
        lines += _named("refused", [f"{left.path} {left.reason}" for left in self.refused])
        lines += _named("skipped", [f"{left.path} ({left.reason})" for left in self.skipped])
        lines += [f"note: {note}" for note in self.notes]
        return [printable(line) for line in lines]

    def _table(self) -> list[str]:
        head = ["class", *SPLITS, "total"]
        rows = [
            [name, *(f"{of_class[s]:,}" for s in SPLITS), f"{sum(of_class.values()):,}"]
            for name, of_class in self.counts.items()
        ]
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
        return [
            "  " + "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
            for row in [head, *rows]
        ]


def imbalance_of(counts: dict[str, dict[Split, int]]) -> float:
    """Images of the largest class over those of the smallest, neither empty; 1 is balanced."""
    sizes = [sum(of_class.values()) for of_class in counts.values()]
    return max(sizes) / min(sizes)


def _named(what: str, names: list[str] | tuple[str, ...]) -> list[str]:
    return [f"{what} ({len(names):,}): {first_few(names)}"] if names else []


def first_few(names: list[str] | tuple[str, ...]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - MOST_NAMED
    return "; ".join(names[:MOST_NAMED]) + (f"; and {more:,} more" if more > 0 else "")
