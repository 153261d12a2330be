"""A row per case: memory, accuracy, the ratios to a baseline."""

from __future__ import annotations

from collections.abc import Sequence

from harness.core import units
from harness.core.types import CaseReport
from harness.renderers import comparison as against
from harness.renderers import metrics
from harness.renderers.cases import Row
from harness.renderers.charts.shared import (
    HALF,
    MOST_CASES,
    Chart,
    Key,
    axis_label,
    draw_limits,
    first,
    limit_keys,
    limits,
    not_shown,
    ranking,
    row_height,
    rows_axes,
    sentences,
    tip,
    usable,
)
from harness.renderers.svg import Drawing, Theme
from harness.renderers.view import View


def memory(view: View, rows: list[Row]) -> list[Chart]:
    """Anonymous and file-backed memory stacked, the arena hatched inside, peak RSS and PSS as
    marks; where the parts are not observable, a plain bar to the peak."""
    known = [r for r in usable(rows) if metrics.point(r.case, "peak_rss")]
    if not known:
        return []
    shown, note = first(known)
    split = any(_parts(r.case) for r in shown)
    plain = any(not _parts(r.case) for r in shown)
    return [
        Chart(
            key="memory",
            group="overview",
            title="Memory" + view.emulated([r.case.device for r in shown]),
            caption=sentences(
                "Resident memory:",
                "anonymous (buffers, and weights that were unpacked) and file-backed (the model "
                "file, libraries) at the end of a launch, with its peak."
                if split
                else "its peak; what it is made of cannot be observed here.",
                "A plain bar: only the peak is known." if split and plain else "",
                note,
            ),
            alt=ranking("peak RSS", view, known, "peak_rss"),
            draw=lambda theme, width: _draw_memory(view, shown, theme, width),
        )
    ]


def _parts(case: CaseReport) -> bool:
    """Whether the case's memory is known by its parts."""
    return (
        metrics.point(case, "rss_anon") is not None and metrics.point(case, "rss_file") is not None
    )


def _draw_memory(view: View, rows: list[Row], theme: Theme, width: int) -> Drawing:
    labels = view.labels
    cases = [r.case for r in rows]
    split, plain = any(map(_parts, cases)), not all(map(_parts, cases))
    there = {m for c in cases for m in ("arena", "pss") if metrics.point(c, m)}
    key = [
        *([Key("anonymous", theme.series[0]), Key("file-backed", theme.pale)] if split else []),
        *([Key("arena", theme.ink, "/")] if "arena" in there else []),
        *([Key("undivided", theme.muted)] if plain else []),
        Key("peak RSS", theme.ink, "|"),
        *([Key("PSS", theme.ink, "d")] if "pss" in there else []),
        *limit_keys(view, "peak_rss", theme),
    ]
    figure, ax = rows_axes(theme, width, [labels[c.case.id] for c in cases], key)
    peaks = [metrics.point(c, "peak_rss") or 0.0 for c in cases]
    scale = units.column_scale("memory", peaks)
    tall = row_height(width)
    tips: dict[str, str | Sequence[str]] = {}
    for i, case in enumerate(cases):
        peak, start = peaks[i] / scale.divisor, 0.0
        parts = (
            [("rss_anon", theme.series[0]), ("rss_file", theme.pale)]
            if _parts(case)
            else [("peak_rss", theme.muted)]
        )
        for metric, colour in parts:
            value = (metrics.point(case, metric) or 0.0) / scale.divisor
            (bar,) = ax.barh([i], [value], left=start, height=tall, color=colour,
                             alpha=0.55 if metric == "peak_rss" else 1)  # fmt: skip
            bar.set_gid(f"{metric}-{i}")
            tips[f"{metric}-{i}"] = tip(
                labels[case.case.id], case, ("peak_rss", "rss_anon", "rss_file", "arena", "pss")
            )
            start += value
        if arena := metrics.point(case, "arena"):
            ax.barh([i], [arena / scale.divisor], height=tall, fill=False, hatch="////", lw=0,
                    edgecolor=theme.ink)  # fmt: skip
        ax.plot([peak, peak], [i - 0.63 * tall, i + 0.63 * tall], color=theme.ink, lw=2)
        if pss := metrics.point(case, "pss"):
            ax.plot([pss / scale.divisor], [i], "d", color=theme.ink, ms=8)
        ax.annotate(scale.show(peaks[i]), (1, i), (7, 0), xycoords=("axes fraction", "data"),
                    va="center", textcoords="offset points", color=theme.ink)  # fmt: skip
    # A budget beyond the bars is shown as far as it does not dwarf them.
    near = [v for _, v in limits(view, "peak_rss") if v < 2 * max(peaks)]
    ax.set_xlim(0, max([*peaks, *near]) / scale.divisor * 1.05)
    ax.set_xlabel(axis_label("peak_rss", scale), color=theme.muted)
    draw_limits(ax, view, "peak_rss", scale.divisor, theme)
    return Drawing(figure, tips)


def accuracy(view: View, rows: list[Row]) -> list[Chart]:
    """Accuracy with its interval."""
    known = [r for r in usable(rows) if metrics.point(r.case, "accuracy") is not None]
    if not known:
        return []
    shown, note = first(known)
    return [
        Chart(
            key="accuracy",
            group="overview",
            title="Accuracy",
            caption=sentences("On the test split, with the interval.", note),
            alt=ranking("accuracy", view, known, "accuracy"),
            draw=lambda theme, width: _draw_accuracy(view, shown, theme, width),
        )
    ]


def _draw_accuracy(view: View, rows: list[Row], theme: Theme, width: int) -> Drawing:
    labels = view.labels
    cases = [r.case for r in rows]
    key = limit_keys(view, "accuracy", theme)
    figure, ax = rows_axes(theme, width, [labels[c.case.id] for c in cases], key)
    tips: dict[str, str | Sequence[str]] = {}
    ends = [limit for _, limit in limits(view, "accuracy")]
    for i, case in enumerate(cases):
        m = metrics.measured(case, "accuracy")
        if m is None or m.point is None:
            continue
        ends.append(m.point)
        if m.estimate:
            ends += [m.estimate.ci_low, m.estimate.ci_high]
            ax.plot(ends[-2:], [i, i], color=theme.series[0], lw=6, alpha=0.35,
                    solid_capstyle="butt", clip_on=False, gid=f"interval-{i}")  # fmt: skip
        ax.plot(
            [m.point], [i], "o", color=theme.series[0], ms=9, clip_on=False, gid=f"accuracy-{i}"
        )
        ax.annotate(f"{m.point:.3f}", (1, i), (7, 0), xycoords=("axes fraction", "data"),
                    va="center", textcoords="offset points", color=theme.ink)  # fmt: skip
        said = tip(labels[case.case.id], case, ("accuracy", "auc", "agreement"))
        tips[f"accuracy-{i}"] = tips[f"interval-{i}"] = said
    low, high = min(ends), max(ends)
    room = max(0.01, (high - low) * 0.06)
    ax.set_xlim(max(0.0, low - room), min(1.0, high + room))
    ax.set_xlabel("accuracy", color=theme.muted)
    draw_limits(ax, view, "accuracy", 1.0, theme)
    return Drawing(figure, tips)


FEW_RATIOS = 12  # how many are drawn when fewer changed


def forest(view: View) -> list[Chart]:
    """The ratios to the baseline with their intervals, the worst first."""
    lines = [x for x in view.changes if x.raw.ratio]
    if view.report.comparison is None or not lines:
        return []
    changed = sum(x.outcome != "no change" for x in lines)
    shown = lines[: min(MOST_CASES, max(changed, FEW_RATIOS))]
    comparison = view.report.comparison
    bands = [against.threshold(comparison, x.raw) for x in shown]
    return [
        Chart(
            key="baseline",
            group="baseline",
            title="Ratio to the baseline" + view.emulated([c.device for c in view.report.cases]),
            caption=sentences(
                "Candidate over baseline with its interval; the band is the change that its "
                f"metric is allowed: {', '.join(against.allowed(comparison))}. An outcome is "
                "claimed only if the whole interval agrees.",
                not_shown(len(lines), len(shown)),
            ),
            alt=f"Forest plot: {against.summary(comparison)}.",
            draw=lambda theme, width: _draw_forest(shown, bands, theme, width),
            told=True,
        )
    ]


def _draw_forest(
    lines: list[against.Line], bands: list[float], theme: Theme, width: int
) -> Drawing:
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    colours = {"regression": theme.bad, "inconclusive": theme.doubt, "improvement": theme.good}
    shapes = {"regression": "s", "inconclusive": "D", "improvement": "o", "no change": "|"}
    there = {x.outcome for x in lines}
    key = [
        Key(outcome, colours.get(outcome, theme.muted), shape)
        for outcome, shape in shapes.items()
        if outcome in there
    ]
    names = [f"{_start(x.label, 40 - len(x.metric))}, {x.metric}" for x in lines]
    right = 72 if width < HALF else 190
    figure, ax = rows_axes(theme, width, names, key, right=right, most=42)
    tips: dict[str, str | Sequence[str]] = {}
    for i, band in enumerate(bands):
        left = 1 / (1 + band)
        ax.barh([i], [1 + band - left], left=left, height=1, color=theme.muted, alpha=0.12, lw=0,
                zorder=0, gid=f"allowed-{i}")  # fmt: skip
    ax.axvline(1, color=theme.muted, lw=1)
    for i, x in enumerate(lines):
        m = x.raw
        colour = colours.get(x.outcome, theme.muted)
        if m.ci_low is not None and m.ci_high is not None:
            ax.plot([m.ci_low, m.ci_high], [i, i], color=colour, lw=2, gid=f"interval-{i}")
        ax.plot([m.ratio or 1.0], [i], shapes[x.outcome], color=colour, ms=9, gid=f"ratio-{i}",
                mew=2 if x.outcome == "no change" else 1)  # fmt: skip
        said = x.ratio if width < HALF else f"{x.ratio}  {x.range}"
        ax.annotate(said, (1, i), (7, 0), xycoords=("axes fraction", "data"), va="center",
                    textcoords="offset points", color=theme.ink)  # fmt: skip
        tips[f"ratio-{i}"] = tips[f"interval-{i}"] = (
            f"{x.label}, {x.metric}: {x.baseline} to {x.candidate}, ratio {x.ratio} ({x.range}), "
            f"{x.outcome}"
        )
    ends = [v for x in lines for v in (x.raw.ratio, x.raw.ci_low, x.raw.ci_high) if v]
    low, high = min([*ends, 1 / (1 + max(bands))]), max([*ends, 1 + max(bands)])
    low, high = max(low, 1e-3) / 1.03, high * 1.03
    steps = MaxNLocator(4 if width < HALF else 8, steps=[1, 2, 5, 10]).tick_values(low, high)
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    ax.xaxis.set_major_locator(FixedLocator([1.0, *(t for t in steps if t > 0 and t != 1)]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("candidate / baseline", color=theme.muted)
    return Drawing(figure, tips)


def _start(text: str, most: int) -> str:
    """The beginning of a name, so that what follows it is not cut."""
    text = units.printable(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"
