"""A row per case: memory, accuracy, the ratios to a baseline."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from harness.core import units
from harness.core.types import Evaluation, Report
from harness.renderers import _comparison as against
from harness.renderers import _view as view
from harness.renderers._charts.shared import (
    MOST_CASES,
    PANEL,
    Chart,
    axis_label,
    first,
    ranking,
    rows_axes,
    short,
    square_key,
    tip,
)
from harness.renderers._svg import Drawing, Theme, axes


def memory(report: Report, rows: list[view.Row]) -> list[Chart]:
    """Anonymous and file-backed memory stacked, the arena inside, peak RSS as a mark."""
    usable = [r for r in rows if view.point(r.case, "peak_rss")]
    if not usable:
        return []
    shown, note = first(usable)
    return [
        Chart(
            key="memory",
            group="overview",
            title="Memory",
            caption="Resident memory at its peak: anonymous (buffers, and weights that were "
            f"unpacked) and file-backed (the model file, libraries). {note}",
            alt=ranking("peak RSS", report, usable, "peak_rss"),
            draw=lambda theme: _draw_memory(report, shown, theme),
        )
    ]


def _draw_memory(report: Report, rows: list[view.Row], theme: Theme) -> Drawing:
    labels = view.labels_of(report)
    figure, ax = rows_axes(theme, [short(labels[r.case.case.id]) for r in rows])
    peaks = [view.point(r.case, "peak_rss") or 0.0 for r in rows]
    scale = units.column_scale("peak_rss", "bytes", peaks)
    tips: dict[str, str | Sequence[str]] = {}
    parts = (
        ("rss_anon", "anonymous", theme.series[0]),
        ("rss_file", "file-backed", theme.pale),
    )
    for i, row in enumerate(rows):
        start = 0.0
        said = tip(labels[row.case.case.id], row.case, ("peak_rss", "rss_anon", "rss_file"))
        for metric, _, colour in parts:
            value = (view.point(row.case, metric) or 0.0) / scale.divisor
            (bar,) = ax.barh([i], [value], left=start, height=0.62, color=colour)
            bar.set_gid(f"{metric}-{i}")
            tips[f"{metric}-{i}"] = said
            start += value
        peak = peaks[i] / scale.divisor
        ax.plot([peak, peak], [i - 0.4, i + 0.4], color=theme.ink, lw=2)
        ax.annotate(scale.show(peaks[i]), (max(peak, start), i), (6, 0), va="center",
                    textcoords="offset points", color=theme.ink)  # fmt: skip
    ax.set_xlim(0, max(peaks) / scale.divisor * 1.14)
    ax.set_xlabel(axis_label("peak_rss", scale), color=theme.muted)
    square_key(
        ax, [*((name, colour) for _, name, colour in parts), ("| peak RSS", theme.ink)], theme
    )
    return Drawing(figure, tips)


def accuracy(report: Report, rows: list[view.Row]) -> list[Chart]:
    """Accuracy with its interval."""
    usable = [r for r in rows if view.point(r.case, "accuracy") is not None]
    if not usable:
        return []
    shown, note = first(usable)
    return [
        Chart(
            key="accuracy",
            group="overview",
            title="Accuracy",
            caption=f"On the test split, with the interval. {note}",
            alt=ranking("accuracy", report, usable, "accuracy"),
            draw=lambda theme: _draw_accuracy(report, shown, theme),
        )
    ]


def _draw_accuracy(report: Report, rows: list[view.Row], theme: Theme) -> Drawing:
    labels = view.labels_of(report)
    figure, ax = rows_axes(theme, [short(labels[r.case.case.id]) for r in rows])
    tips: dict[str, str | Sequence[str]] = {}
    for i, row in enumerate(rows):
        m = view.measured(row.case, "accuracy")
        if m is None or m.point is None:
            continue
        if m.estimate:
            ax.plot([m.estimate.ci_low, m.estimate.ci_high], [i, i], color=theme.series[0], lw=5,
                    alpha=0.35, solid_capstyle="round")  # fmt: skip
        ax.plot([m.point], [i], "o", color=theme.series[0], ms=8, gid=f"accuracy-{i}")
        ax.annotate(f"{m.point:.3f}", (1, i), (6, 0), xycoords=("axes fraction", "data"),
                    va="center", textcoords="offset points", color=theme.ink)  # fmt: skip
        tips[f"accuracy-{i}"] = tip(labels[row.case.case.id], row.case, ("accuracy", "auc"))
    for budget in report.verdict.budgets if report.verdict else ():
        if budget.metric == "accuracy":
            ax.axvline(budget.limit, color=theme.bad, lw=1.2, ls=(0, (5, 3)))
    ax.set_xlabel("accuracy", color=theme.muted)
    return Drawing(figure, tips)


MOST_CLASSES = 12  # whose confusion can still be read


def confusions(report: Report) -> list[Chart]:
    """A panel per artifact: which class was taken for which."""
    usable = [e for e in report.evaluations if e.confusion and len(e.classes) <= MOST_CLASSES]
    return [
        Chart(
            key=f"confusion-{i + 1:02d}",
            group="confusion",
            title=units.name(e.variant),
            caption=f"{units.printable(e.split)} split, {e.n} examples",
            alt=f"Confusion matrix of {units.name(e.variant)}: "
            + "; ".join(
                f"{units.name(label)} as {', '.join(map(str, row))}"
                for label, row in zip(e.classes, e.confusion, strict=True)
            ),
            draw=functools.partial(_draw_confusion, e),
        )
        for i, e in enumerate(usable[:MOST_CASES])
    ]


def _draw_confusion(e: Evaluation, theme: Theme) -> Drawing:
    from matplotlib.patches import Rectangle

    n = len(e.classes)
    names = [f"{c[:11]}…" if len(c) > 12 else c for c in map(units.name, e.classes)]
    side = min(60, 220 // n)
    figure, ax = axes(theme, (PANEL[0], n * side + 56), (96, PANEL[0] - 96 - n * side - 8, 30, 26))
    tips: dict[str, str | Sequence[str]] = {}
    for i, row in enumerate(e.confusion):
        for j, count in enumerate(row):
            share = count / sum(row) if sum(row) else 0.0
            colour = theme.series[0] if i == j else theme.series[1]
            box = Rectangle((j, i), 0.96, 0.96, color=colour, alpha=0.08 + 0.5 * share, lw=0)
            box.set_gid(f"cell-{i}-{j}")
            ax.add_patch(box)
            ax.text(j + 0.48, i + 0.48, str(count), ha="center", va="center", color=theme.ink)
            tips[f"cell-{i}-{j}"] = (
                f"{units.name(e.classes[i])} taken for {units.name(e.classes[j])}: {count} "
                f"({units.percent(share)})"
            )
    ax.set(xlim=(0, n), ylim=(n, 0))
    middles = [k + 0.48 for k in range(n)]
    ax.set_yticks(middles, names, fontsize=10)
    ax.set_xticks(middles, names if side >= 50 else [n[:2] for n in names], fontsize=10)
    ax.xaxis.tick_top()
    ax.spines["bottom"].set_visible(False)
    ax.set_xlabel("columns: decided", color=theme.muted, fontsize=10)
    return Drawing(figure, tips)


FEW_RATIOS = 12  # how many are drawn when fewer changed


def forest(report: Report) -> list[Chart]:
    """The ratios to the baseline with their intervals, what needs a look first."""
    lines = [x for x in against.lines_of(report) if x.raw.ratio]
    if report.comparison is None or not lines:
        return []
    changed = sum(x.outcome != "no change" for x in lines)
    shown = lines[: min(MOST_CASES, max(changed, FEW_RATIOS))]
    note = "" if len(shown) == len(lines) else f"The first {len(shown)} of {len(lines)}."
    allowed = report.comparison.max_regression
    return [
        Chart(
            key="baseline",
            group="baseline",
            title="Ratio to the baseline",
            caption="Candidate over baseline with its interval; the band is what is allowed. An "
            f"outcome is claimed only if the whole interval agrees. {note}",
            alt=f"Forest plot: {against.summary(report.comparison)}.",
            draw=lambda theme: _draw_forest(shown, allowed, theme),
        )
    ]


def _draw_forest(lines: list[against.Line], allowed: float, theme: Theme) -> Drawing:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    colours = {"regression": theme.bad, "inconclusive": theme.doubt, "improvement": theme.good}
    shapes = {"regression": "s", "inconclusive": "D", "improvement": "o"}
    figure, ax = rows_axes(theme, [f"{short(x.label)}, {x.metric}" for x in lines])
    tips: dict[str, str | Sequence[str]] = {}
    ax.axvspan(1 - allowed, 1 + allowed, color=theme.muted, alpha=0.12, lw=0)
    ax.axvline(1, color=theme.muted, lw=1)
    for i, x in enumerate(lines):
        m = x.raw
        colour = colours.get(x.outcome, theme.muted)
        if m.ci_low is not None and m.ci_high is not None:
            ax.plot([m.ci_low, m.ci_high], [i, i], color=colour, lw=2)
        ax.plot([m.ratio or 1.0], [i], shapes.get(x.outcome, "|"), color=colour, ms=8,
                gid=f"ratio-{i}")  # fmt: skip
        ax.annotate(x.ratio, (1, i), (6, 0), xycoords=("axes fraction", "data"), va="center",
                    textcoords="offset points", color=theme.ink)  # fmt: skip
        tips[f"ratio-{i}"] = (
            f"{x.label}, {x.metric}: {x.baseline} to {x.candidate}, ratio {x.ratio} ({x.range}), "
            f"{x.outcome}"
        )
    ends = [v for x in lines for v in (x.raw.ratio, x.raw.ci_low, x.raw.ci_high) if v]
    low, high = min([*ends, 1 - allowed]), max([*ends, 1 + allowed])
    ax.set_xscale("log")
    ax.set_xlim(max(low, 1e-3) / 1.03, high * 1.03)
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(FuncFormatter(lambda *_: ""))
    ax.set_xlabel("candidate / baseline", color=theme.muted)
    return Drawing(figure, tips)
