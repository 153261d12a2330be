"""How a search went: the front over the trials, the smallest model within the margin, and how much
each option mattered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from harness.analysis.search_front import grown
from harness.core import units
from harness.core.search import SearchReport, Trial
from harness.renderers.charts.shared import (
    MOST_CASES,
    SMALL,
    Chart,
    Key,
    draw_key,
    key_lines,
    not_shown,
    row_height,
    rows_axes,
    sentences,
)
from harness.renderers.svg import Drawing, Theme, axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STAGES = 4  # lines of the growing front
_OBJECTIVES = ("accuracy", "size_bytes")


def charts(
    report: SearchReport, named: dict[int, str], short: Callable[[str], str] = units.printable
) -> list[Chart]:
    """The charts that have something to draw. `named` describes each trial, `short` names each
    option."""
    done = [t for t in report.trials if t.state == "done" and t.size_bytes and t.accuracy]
    found = []
    if done:
        found += [_front(report, done, named), _smallest(report)]
    if report.importance:
        found.append(_importance(report, short))
    return found


# --- the front -------------------------------------------------------------------------------


def _front(report: SearchReport, done: list[Trial], named: dict[int, str]) -> Chart:
    front = [t for t in done if t.number in _last(report)]
    said = "; ".join(
        f"{units.file_size(t.size_bytes)} with {units.ratio(t.accuracy or 0)}" for t in front[-8:]
    )
    return Chart(
        key="search-front",
        group="search",
        title="The front over the trials",
        caption=sentences(
            "Each point is a judged trial. The lines are the front after each quarter of the "
            "trials, from pale to strong: it can only move up and to the left.",
            f"Accuracy is that on {done[0].images:,} validation images, which guided the search."
            if done[0].images
            else "",
        ),
        alt=f"{len(done)} judged trials; on the front {said or 'none'}.",
        draw=lambda theme, width: _draw_front(report, done, named, theme, width),
        tall=True,
    )


def _last(report: SearchReport) -> list[int]:
    steps = grown(report.trials, _OBJECTIVES)
    return steps[-1] if steps else []


def _draw_front(
    report: SearchReport, done: list[Trial], named: dict[int, str], theme: Theme, width: int
) -> Drawing:
    key = [Key("judged", theme.series[0], "o"), Key("finalist", theme.series[1], "D")]
    over = [t for t in done if not t.keeps_budget]
    if over:
        key.append(Key("misses the budget", theme.muted, "X"))
    top = 16 + 20 * key_lines(key, width)
    figure, ax = axes(theme, (width, 560), (64, 22, top, 50))
    steps = grown(report.trials, _OBJECTIVES)
    by_number = {t.number: t for t in done}
    for stage in range(1, _STAGES + 1):
        numbers = steps[max(0, len(steps) * stage // _STAGES - 1)]
        _line(ax, [by_number[n] for n in numbers], theme, stage)
    finalists = set(report.final.finalists.values()) if report.final else set()
    tips: dict[str, str | Sequence[str]] = {}
    kept = [t for t in done if t.keeps_budget and t.number not in finalists]
    last = [t for t in done if t.number in finalists]
    for gid, trials, entry in (
        ("over", over, Key("", theme.muted, "X")),
        ("judged", kept, key[0]),
        ("finalists", last, key[1]),
    ):
        if not trials:
            continue
        ax.scatter(
            [(t.size_bytes or 0) / 1e6 for t in trials],
            [t.accuracy or 0 for t in trials],
            s=64 if gid == "finalists" else 38, marker=entry.marker, color=entry.colour,
            edgecolors=theme.surface, linewidths=0.8, zorder=3, gid=gid,
        )  # fmt: skip
        tips[gid] = [tip(t, named.get(t.number, "")) for t in trials]
    ax.set_xscale("log")
    _megabytes(ax, [t.size_bytes or 1 for t in done])
    ax.set_xlabel("size, MB", color=theme.muted)
    ax.set_ylabel("validation accuracy", color=theme.muted)
    ax.grid(color=theme.grid, lw=0.8)
    draw_key(ax, key, theme)
    return Drawing(figure, tips)


def _megabytes(ax: Axes, sizes: Sequence[int]) -> None:
    """Few ticks with plain numbers, also where less than a power of ten is shown."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = min(sizes) / 1e6 / 1.25, max(sizes) / 1e6 * 1.25
    every = [m * 10.0**e for e in range(-4, 4) for m in (1, 2, 5)]
    ax.set_xlim(low, high)
    ax.xaxis.set_major_locator(FixedLocator([x for x in every if low <= x <= high]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))


def _line(ax: Axes, front: list[Trial], theme: Theme, stage: int) -> None:
    points = sorted((t.size_bytes or 0, t.accuracy or 0) for t in front)
    if points:
        ax.step(
            [size / 1e6 for size, _ in points],
            [accuracy for _, accuracy in points],
            where="post", color=theme.series[0], lw=1.0 + 0.4 * stage, alpha=stage / _STAGES,
            zorder=2,
        )  # fmt: skip


def tip(trial: Trial, what: str) -> str:
    """What a point is."""
    known = f"{units.file_size(trial.size_bytes)}, {units.ratio(trial.accuracy or 0)}"
    return f"{trial.name}: {known}; {what}"


# --- how it went -----------------------------------------------------------------------------


def _smallest(report: SearchReport) -> Chart:
    sizes = smallest(report)
    last = next((s for _, s in reversed(sizes) if s is not None), None)
    return Chart(
        key="search-smallest",
        group="search",
        title="The smallest within the margin",
        caption="After each trial, the smallest model of the front that loses at most "
        f"{units.points(report.margin)} on validation images against the best one known by then. "
        "It can grow again when a better one is found.",
        alt=f"In the end {units.file_size(last) if last else 'none'}.",
        draw=lambda theme, width: _draw_smallest(sizes, theme, width),
    )


def smallest(report: SearchReport) -> list[tuple[int, int | None]]:
    """(number of a trial, size in bytes of the smallest within the margin after it)."""
    by_number = {t.number: t for t in report.trials}
    known = list(report.header.reference.values())
    found: list[tuple[int, int | None]] = []
    for numbers, trial in zip(
        grown(report.trials, _OBJECTIVES),
        sorted(report.trials, key=lambda t: t.number),
        strict=True,
    ):
        front = [by_number[n] for n in numbers]
        best = max([*known, *(t.accuracy or 0 for t in front)], default=0)
        within = [t.size_bytes or 0 for t in front if (t.accuracy or 0) >= best - report.margin]
        found.append((trial.number, min(within, default=None)))
    return found


def _draw_smallest(sizes: list[tuple[int, int | None]], theme: Theme, width: int) -> Drawing:
    figure, ax = axes(theme, (width, 270), (64, 22, 16, 50))
    shown = [(number, size / 1e6) for number, size in sizes if size is not None]
    if shown:
        ax.step(*zip(*shown, strict=True), where="post", color=theme.series[0], lw=2.2)
        number, size = shown[-1]
        ax.annotate(
            units.file_size(size * 1e6), (number, size), (-4, 6), ha="right",
            textcoords="offset points", color=theme.ink, fontsize=SMALL,
        )  # fmt: skip
    ax.set_ylim(bottom=0)
    ax.set_xlim(0, max((n for n, _ in sizes), default=1) + 0.5)
    ax.set_xlabel("trial", color=theme.muted)
    ax.set_ylabel("size, MB", color=theme.muted)
    ax.grid(axis="y", color=theme.grid, lw=0.8)
    return Drawing(figure)


# --- importance ------------------------------------------------------------------------------


def _importance(report: SearchReport, short: Callable[[str], str]) -> Chart:
    ordered = sorted(report.importance.items(), key=lambda item: -item[1])[:MOST_CASES]
    shares = {short(name): share for name, share in ordered}
    said = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    return Chart(
        key="search-importance",
        group="search",
        title="What mattered",
        caption=sentences(
            "How much each option decided whether a trial came near the front, by Optuna's "
            "PED-ANOVA. The options of an entry of the space sum up to 100 %.",
            not_shown(len(report.importance), MOST_CASES, "the JSON has all"),
        ),
        alt=said,
        draw=lambda theme, width: _draw_importance(shares, theme, width),
    )


def _draw_importance(shares: dict[str, float], theme: Theme, width: int) -> Drawing:
    figure, ax = rows_axes(theme, width, list(shares), most=34)
    values = [100 * share for share in shares.values()]
    ax.barh(range(len(values)), values, height=row_height(width), color=theme.series[0])
    for i, value in enumerate(values):
        ax.annotate(
            f"{value:.0f} %", (value, i), (6, 0), va="center", textcoords="offset points",
            color=theme.ink, fontsize=SMALL,
        )  # fmt: skip
    ax.set_xlim(0, 105)
    ax.set_xlabel("share, %", color=theme.muted)
    return Drawing(figure)
