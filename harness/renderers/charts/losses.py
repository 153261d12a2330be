"""How much accuracy each variant may have lost, beside the margin that is allowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.core import units
from harness.core.types import Loss
from harness.renderers.cases import Row
from harness.renderers.charts.shared import MOST_CASES, Chart, Key, not_shown, rows_axes, sentences
from harness.renderers.svg import Drawing, Theme
from harness.renderers.view import View

_NAMES = {True: "within the margin", False: "may be beyond it"}


def losses(view: View, rows: list[Row]) -> list[Chart]:
    """A row per variant: the loss seen, its limits, and the margin as a line."""
    verdict = view.report.verdict
    if verdict is None or len(verdict.losses) < 2 or verdict.margin is None:
        return []
    order = dict.fromkeys([r.case.variant for r in rows] + list(verdict.losses))
    known = {name: verdict.losses[name] for name in order if name in verdict.losses}
    shown = dict(list(known.items())[:MOST_CASES])
    margin, what = verdict.margin, units.printable(verdict.protected)
    said = "; ".join(
        f"{units.name(name)} at most {units.points(loss.bound, up=True)}"
        for name, loss in list(shown.items())[:8]
    )
    return [
        Chart(
            key="losses",
            group="overview",
            title=f"What may be lost of {what}",
            caption=sentences(
                f"Against the best variant: seen (dot), and the limits that hold for all variants "
                f"together with 95 % confidence. The line is the margin, {units.points(margin)}.",
                not_shown(len(known), MOST_CASES),
            ),
            alt=f"Losses of {what}: {said}.",
            draw=lambda theme, width: _draw(shown, margin, theme, width),
        )
    ]


def _draw(found: Mapping[str, Loss], margin: float, theme: Theme, width: int) -> Drawing:
    colours = {True: theme.series[0], False: theme.doubt}
    kept = {name: loss.bound <= margin for name, loss in found.items()}
    key = [Key(text, colours[k]) for k, text in _NAMES.items() if k in kept.values()]
    key.append(Key("margin", theme.bad, "-"))
    figure, ax = rows_axes(theme, width, [units.name(n) for n in found], key, right=58)
    tips: dict[str, str | Sequence[str]] = {}
    for i, (name, loss) in enumerate(found.items()):
        colour = colours[kept[name]]
        low, point, high = (100 * v for v in (loss.at_least, loss.point, loss.bound))
        (line,) = ax.plot([low, high], [i, i], color=colour, lw=3, solid_capstyle="butt")
        line.set_gid(f"loss-{i}")
        ax.plot([high, high], [i - 0.16, i + 0.16], color=colour, lw=2)
        ax.plot([point], [i], marker="o", ms=8, color=colour, mec=theme.surface)
        seen, text = units.points(loss.point), units.points(loss.bound, up=True)
        tips[f"loss-{i}"] = f"{units.name(name)}: lost {seen} on {loss.n} images, may lose {text}"
        ax.annotate(text.split()[0], (1, i), (7, 0), va="center", color=theme.ink,
                    xycoords=("axes fraction", "data"), textcoords="offset points")  # fmt: skip
    ax.axvline(100 * margin, color=theme.bad, lw=1.4, ls=(0, (4, 2)))
    most = max(loss.bound for loss in found.values())
    ax.set_xlim(0, 108 * max(most, margin))
    ax.set_xlabel("percentage points", color=theme.muted)
    return Drawing(figure, tips)
