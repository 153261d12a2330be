"""Why a file is large, for the terminal and as sentences for the HTML report."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.core import units
from harness.core.explanation import Change, Explanation, GreyCost
from harness.core.text import count
from harness.renderers.table import QUIET
from harness.renderers.words import shorten

MOST_LAYERS = 10
_NAME_CELLS = 40


def show(found: Explanation, console: Console, *, every: bool = False) -> None:
    """All of it; with `every` all layers and not only the largest."""
    console.print(Text(units.printable(found.path), style="bold"))
    macs = units.ABSENT if found.macs is None else millions(found.macs)
    console.print(
        Text(
            f"{units.file_size(found.size_bytes)}, {millions(found.parameters)} parameters, "
            f"{macs} multiply-accumulates per inference"
        )
    )
    if found.macs is None:
        console.print(Text(f"multiply-accumulates: {found.macs_absent_because}", style=QUIET))
    _parts(found, console)
    _kinds(found, console)
    _layers(found, console, every=every)
    if found.frozen:
        console.print(Text(f"{millions(found.frozen)} of the parameters are frozen"))
    if found.grey:
        console.print(Text(grey_sentence(found.grey, found.size_bytes)))
    if found.changes:
        console.print(Text("\nWhat would make it smaller", style="bold"))
    for message, changes in by_reason(found.changes):
        console.print(Text(units.printable(message)))
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for change in changes:
            table.add_row(f"  {units.file_size(change.size_bytes):>8}", change.how)
        console.print(table)


def grey_sentence(cost: GreyCost, size_bytes: int) -> str:
    """What reading three equal channels costs."""
    share = units.percent(cost.size_bytes / size_bytes if size_bytes else None)
    who = "the network copies a grey image to three channels"
    if not cost.converted:
        who = "the network reads three channels; if your images are grey, all three are the same"
    macs = f" and {millions(cost.macs)} multiply-accumulates" if cost.macs is not None else ""
    return (
        f"Input: {who}. That costs {units.file_size(cost.size_bytes)} ({share} of the file){macs}, "
        f"all in {units.printable(cost.layer)}, whose kernel could be summed over its channels."
    )


def by_reason(changes: Sequence[Change]) -> list[tuple[str, list[Change]]]:
    """The changes below the sentence that they share, in their order."""
    found: dict[str, list[Change]] = {}
    for change in changes:
        found.setdefault(change.message, []).append(change)
    return list(found.items())


def millions(number: int) -> str:
    """49_315_459 -> '49.3 million'; smaller numbers whole."""
    if number >= 1_000_000_000:
        return f"{number / 1e9:,.1f} billion"
    return f"{number / 1e6:,.1f} million" if number >= 1_000_000 else f"{number:,}"


def _parts(found: Explanation, console: Console) -> None:
    table = _table("bytes are for", "size", "share")
    for part in found.parts:
        table.add_row(
            part.name, units.file_size(part.size_bytes), _share(part.size_bytes, found.size_bytes)
        )
    console.print(table)


def _kinds(found: Explanation, console: Console) -> None:
    table = _table("kind of layer", "layers", "size", "share", "parameters", "MACs")
    for kind in found.kinds:
        table.add_row(
            units.printable(kind.kind),
            str(kind.layers),
            units.file_size(kind.size_bytes),
            _share(kind.size_bytes, found.size_bytes),
            millions(kind.parameters),
            units.ABSENT if kind.macs is None else millions(kind.macs),
        )
    console.print(table)


def _layers(found: Explanation, console: Console, *, every: bool) -> None:
    table = _table("layer", "kind", "size", "share", "parameters", "MACs")
    shown = found.layers if every else found.layers[:MOST_LAYERS]
    for layer in shown:
        table.add_row(
            shorten(units.printable(layer.name), _NAME_CELLS),
            units.printable(layer.kind),
            units.file_size(layer.size_bytes),
            _share(layer.size_bytes, found.size_bytes),
            millions(layer.parameters),
            units.ABSENT if layer.macs is None else millions(layer.macs),
        )
    console.print(table)
    if left := len(found.layers) - len(shown):
        console.print(Text(f"and {count(left, 'smaller layer')}: --all shows them", style=QUIET))


def _share(size: int, whole: int) -> str:
    if size and size < whole / 1000:
        return "<0.1 %"
    return units.percent(size / whole if whole else None)


def _table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=QUIET)
    for place, head in enumerate(heads):
        numeric = place > 0 and head != "kind"
        table.add_column(head, justify="right" if numeric else "left", no_wrap=True)
    return table
