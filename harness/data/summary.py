"""What a data set holds, told before anything is trained on it."""

from __future__ import annotations

from harness.core.types import Value
from harness.core.units import ABSENT, printable, times
from harness.data.split import SPLITS, Split

_NAMED = 5


class Left(Value, frozen=True):
    """A file that is not used, its path inside the folder, and why."""

    path: str
    reason: str


class DataSummary(Value, frozen=True):
    """`counts` holds distinct images by class and split; all names are fit to print.

    `copies` counts files with the pixels of another one, which is used in their place;
    `straddling` names the images that the folder's own split has on two sides, `conflicts` those
    that it has in two classes. `refused` are broken or hostile images, `skipped` other files.
    """

    name: str
    counts: dict[str, dict[Split, int]]
    split_by: str
    copies: int = 0
    straddling: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    refused: tuple[Left, ...] = ()
    skipped: tuple[Left, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Distinct images that are used."""
        return sum(self.count(split) for split in SPLITS)

    def count(self, split: Split) -> int:
        """Distinct images of one split."""
        return sum(of_class[split] for of_class in self.counts.values())

    @property
    def imbalance(self) -> float:
        """Images of the largest class over those of the smallest; 1 is balanced."""
        sizes = [sum(of_class.values()) for of_class in self.counts.values()]
        return max(sizes) / min(sizes)

    def lines(self) -> list[str]:
        """For a terminal, plain text."""
        lines = [f"{self.name}: {self.total:,} images in {len(self.counts)} classes"]
        lines += self._table()
        lines.append(f"split: {self.split_by}")
        if self.imbalance >= 1.5:
            lines.append(f"imbalance: the largest class has {times(self.imbalance)} the smallest")
        if self.copies:
            lines.append(f"duplicates: {self.copies:,} files have the pixels of another, left out")
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
        rows = [[cell if cell != "0" else ABSENT for cell in row] for row in rows]
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
        return [
            "  " + "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
            for row in [head, *rows]
        ]


def _named(what: str, names: list[str] | tuple[str, ...]) -> list[str]:
    return [f"{what} ({len(names):,}): {first_few(names)}"] if names else []


def first_few(names: list[str] | tuple[str, ...]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - _NAMED
    return "; ".join(names[:_NAMED]) + (f"; and {more:,} more" if more > 0 else "")
