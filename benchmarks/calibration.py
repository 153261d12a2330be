"""Do the statistics hold what they promise? Judged by simulation, where the truth is known.

    python benchmarks/calibration.py            a few minutes
    python benchmarks/calibration.py --quick    seconds, coarser
    python benchmarks/calibration.py --launches reports/RUN/report.json

With `--launches` the launches of a report join the simulated ones as a further distribution
("recorded": drawn with replacement, each case relative to its median), and decide the false
alarms of the gate as well. The output is markdown; docs/explanation/statistics.md quotes it.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.analysis.compare import compare
from harness.analysis.sequential import decide, rounds_at
from harness.core.types import (
    SCHEMA_VERSION,
    CaseReport,
    Launch,
    Measurement,
    MetricComparison,
    MetricSpec,
    Plan,
    Report,
    Tool,
)
from harness.stats.bootstrap import bootstrap
from harness.stats.ratio import paired, unpaired
from harness.stats.series import drift, modes, neighbours, steady_state
from harness.stats.summaries import launch_medians, median_interval

Draw = Callable[[int], NDArray[np.float64]]
Cases = Sequence[NDArray[np.float64]]

RNG = np.random.default_rng(20_261_123)
SIZES = (5, 7, 10, 20)
KINDS = ("two runs", "paired")
LATENCY = {"latency": MetricSpec(name="latency", unit="ns", direction="lower", title="latency")}


# --- what launches are drawn from, all about 1 -----------------------------------------------


def normal(n: int) -> NDArray[np.float64]:
    return 1 + 0.1 * RNG.standard_normal(n)


def log_normal(n: int) -> NDArray[np.float64]:
    return np.asarray(np.exp(0.4 * RNG.standard_normal(n)))


def even_modes(n: int) -> NDArray[np.float64]:
    """5.4 or 7.9 ms, 60 to 40: a shared machine with two speeds (log SD 0.19)."""
    return np.where(RNG.random(n) < 0.6, 5.4, 7.9) / 5.4 * np.exp(0.04 * RNG.standard_normal(n))


def rare_slow_mode(n: int) -> NDArray[np.float64]:
    """One launch in nine slow: the log ratio of two launches has a standard deviation of 0.18,
    as measured on a shared machine."""
    return np.where(RNG.random(n) < 0.89, 5.4, 7.9) / 5.4 * np.exp(0.045 * RNG.standard_normal(n))


def heavy_tails(n: int) -> NDArray[np.float64]:
    return np.asarray(np.exp(0.05 * RNG.standard_t(2, n)))


DISTRIBUTIONS: dict[str, Draw] = {
    "normal": normal,
    "log-normal": log_normal,
    "two modes 60:40": even_modes,
    "two modes 89:11": rare_slow_mode,
    "heavy tails": heavy_tails,
}


def recorded(path: Path) -> Draw:
    """Launches of a report, each relative to the median of its case."""
    report = msgspec.json.decode(path.read_bytes(), type=Report)
    pool: list[float] = []
    for case in report.cases:
        medians = launch_medians(case.launches)
        if len(medians) >= 10:
            pool += [m / float(np.median(medians)) for m in medians]
    if not pool:
        sys.exit(f"{path} holds no case with ten launches or more")
    values = np.array(pool)
    spread = math.sqrt(2) * float(np.std(np.log(values)))
    print(f"{len(pool)} recorded launches; SD of the log ratio of two of them: {spread:.3f}\n")
    # A pinch of noise, far below the spread, so that no two launches are the same number.
    return lambda n: RNG.choice(values, n) * np.exp(1e-4 * RNG.standard_normal(n))


# --- tables ----------------------------------------------------------------------------------


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    print(f"### {title}\n")
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)
    print()


def share(flags: Sequence[bool] | NDArray[np.bool_]) -> str:
    """A share with the half-width of its own simulation error."""
    p = float(np.mean(flags))
    return f"{100 * p:.1f} ±{196 * math.sqrt(max(p * (1 - p), 1e-9) / len(flags)):.1f}"


def percentile_bootstrap(x: NDArray[np.float64]) -> tuple[float, float]:
    """What most tools print: for contrast."""
    draws = np.median(x[RNG.integers(0, len(x), (500, len(x)))], axis=1)
    return tuple(np.quantile(draws, (0.025, 0.975)))


# --- coverage --------------------------------------------------------------------------------


def coverage_of_medians(reps: int) -> None:
    rows = []
    for name, draw in DISTRIBUTIONS.items():
        truth = float(np.median(draw(400_000)))
        for n in SIZES:
            ours, plain, level = [], [], 0.0
            for i in range(reps):
                x = draw(n)
                e = median_interval(x.tolist())
                assert e is not None
                ours.append(e.ci_low <= truth <= e.ci_high)
                level = e.confidence
                if i < reps // 4:
                    low, high = percentile_bootstrap(x)
                    plain.append(low <= truth <= high)
            rows.append([name, str(n), f"{100 * level:.2f}", share(ours), share(plain)])
    head = ["launches", "n", "level told, %", "covered, %", "percentile bootstrap, %"]
    table("Median of launches: how often the interval holds the truth", head, rows)


def coverage_of_ratios(reps: int) -> None:
    rows, true = [], 1.1
    for name, draw in DISTRIBUTIONS.items():
        for n in SIZES:
            apart, together, plain, widths = [], [], [], []
            for i in range(reps):
                x, y = draw(n), true * draw(n)
                u = unpaired(x.tolist(), y.tolist())
                p = paired(list(zip(x.tolist(), y.tolist(), strict=True)))
                assert u is not None and p is not None
                e, f = u.estimate(), p.estimate()
                apart.append(e.ci_low <= true <= e.ci_high)
                together.append(f.ci_low <= true <= f.ci_high)
                if i < reps // 4:
                    draws = np.median(y[RNG.integers(0, n, (500, n))], axis=1)
                    draws /= np.median(x[RNG.integers(0, n, (500, n))], axis=1)
                    low, high = np.quantile(draws, (0.025, 0.975))
                    plain.append(bool(low <= true <= high))
                    widths.append((math.log(e.ci_high / e.ci_low), math.log(high / low)))
            narrower = float(np.divide(*np.mean(widths, axis=0)))
            rows.append(
                [name, str(n), share(apart), share(together), share(plain), f"{narrower:.2f}"]
            )
    head = ["launches", "n", "two runs, %", "paired, %", "bootstrap of medians, %", "our width"]
    table("Ratio 1.1: how often its interval holds it (width: of the bootstrap's)", head, rows)


def coverage_of_tails(reps: int) -> None:
    """Launches with a spread of 5 %, iterations with one of 5 % and a spike in 30."""

    def iterations(n: int, m: int) -> NDArray[np.float64]:
        spikes = np.where(RNG.random((n, m)) < 1 / 30, 1.4, 1.0)
        between = np.exp(0.05 * RNG.standard_normal((n, 1)))
        return np.asarray(between * spikes * np.exp(0.05 * RNG.standard_normal((n, m))))

    many = iterations(40_000, 50)
    truth = {"mean": float(many.mean())}
    truth |= {f"p{p}": float(np.percentile(many, p)) for p in (90, 95, 99)}
    rows = []
    for n in SIZES:
        hits: dict[str, list[bool]] = {name: [] for name in truth}
        for _ in range(reps):
            for name, e in bootstrap(iterations(n, 100).tolist()).items():
                hits[name].append(e.ci_low <= truth[name] <= e.ci_high)
        rows.append([str(n), *(share(h) for h in hits.values())])
    head = ["launches of 100 iterations", *(f"{name}, %" for name in truth)]
    table("Hierarchical bootstrap: how often the interval holds the truth", head, rows)


# --- doubts ----------------------------------------------------------------------------------


def doubts(reps: int) -> None:
    rows = []
    for noise, total in [(0.02, 0), (0.02, 0.05), (0.02, 0.1), (0.1, 0), (0.1, 0.1), (0.1, 0.3)]:
        flags = []
        for n in SIZES:
            ramp = np.linspace(1, 1 + total, n)
            found = (
                drift(list(ramp * np.exp(noise * RNG.standard_normal(n)))) for _ in range(reps)
            )
            flags.append(share([d is not None and d.significant for d in found]))
        rows.append([f"{100 * noise:.0f} %", f"+{100 * total:.0f} %", *flags])
    head = ["noise", "drift over the run", *(f"n = {n}, %" for n in SIZES)]
    table("Drift: how often it is flagged", head, rows)

    rows = []
    for phi in (0.0, 0.3, 0.6, 0.9):
        alike = [[neighbours(walk(n, phi)) for _ in range(reps)] for n in (10, 20, 40)]
        rows.append(
            [f"{phi}", *(share([a is not None and a.significant for a in f]) for f in alike)]
        )
    head = ["correlation with the launch before", *(f"n = {n}, %" for n in (10, 20, 40))]
    table("Launches that resemble their neighbours: how often they are flagged", head, rows)

    one_mode: dict[str, Draw] = {
        "uniform": lambda n: RNG.uniform(5, 6, n),
        "exponential": lambda n: np.asarray(np.exp(0.1 * RNG.exponential(size=n))),
    }
    rows = []
    for name, draw in {**one_mode, **DISTRIBUTIONS}.items():
        split = [[modes(draw(n).tolist()) for _ in range(reps)] for n in SIZES]
        rows.append([name, *(share([m is not None and m.significant for m in s]) for s in split)])
    head = ["launches", *(f"n = {n}, %" for n in SIZES)]
    table("Two modes: how often they are flagged", head, rows)

    rows = []
    for extra, warm in [(0.0, 0), (0.1, 10), (0.2, 5), (0.2, 30)]:
        flags = []
        for n in (7, 10, 20):
            states = [steady_state(series(n, 60, extra, warm).tolist()) for _ in range(reps // 4)]
            flags.append(share([s is not None and not s.reached for s in states]))
        rows.append([f"+{100 * extra:.0f} % for {warm}", *flags])
    head = ["first of 60 iterations", "n = 7, %", "n = 10, %", "n = 20, %"]
    table("No steady state: how often it is flagged (autocorrelated noise of 5 %)", head, rows)


def walk(n: int, phi: float) -> list[float]:
    """Launches with a spread of 10 %, correlated with the one before."""
    noise = RNG.standard_normal(n)
    for i in range(1, n):
        noise[i] = phi * noise[i - 1] + math.sqrt(1 - phi**2) * noise[i]
    return [float(v) for v in np.exp(0.1 * noise)]


def series(n: int, length: int, extra: float, warm: int) -> NDArray[np.float64]:
    """Launches x iterations, AR(1) with 0.8, slower by `extra` for the first `warm`."""
    noise = RNG.standard_normal((n, length))
    for i in range(1, length):
        noise[:, i] = 0.8 * noise[:, i - 1] + 0.6 * noise[:, i]
    x = np.exp(0.05 * noise)
    x[:, :warm] *= 1 + extra
    return np.asarray(x)


# --- the gate --------------------------------------------------------------------------------


def report(run: str, sides: Sequence[tuple[str, NDArray[np.float64]]]) -> Report:
    """A report of cases (variant, launches' latencies about 1), as `compare` reads it."""
    cases = tuple(
        CaseReport(
            variant=variant,
            device="host",
            runtime="litert",
            delegate="cpu",
            threads=1,
            status="ok",
            metrics={"latency": Measurement(unit="ns", point=5e6 * float(np.median(values)))},
            launches=tuple(
                Launch(
                    case=variant,
                    index=i,
                    order=i,
                    started_at="",
                    wall_ns=0,
                    latency_ns=(round(5e6 * v),),
                )
                for i, v in enumerate(values.tolist())
            ),
        )
        for variant, values in sides
    )
    return Report(
        schema_version=SCHEMA_VERSION,
        tool=Tool(name="calibration", version="0"),
        run_id=run,
        started_at="",
        host={},
        plan=Plan(cases=tuple(c.case for c in cases)),
        cases=cases,
    )


def gate(before: Cases, after: Cases, same_run: bool) -> list[MetricComparison]:
    """The metrics of one comparison, a case for each pair of launches."""
    old = [(f"a{i}", values) for i, values in enumerate(before)]
    new = [(f"b{i}", values) for i, values in enumerate(after)]
    variants = {f"a{i}": f"b{i}" for i in range(len(old))}
    if same_run:
        both = report("same", [*old, *new])
        result = compare(both, both, specs=LATENCY, variants=variants)
    else:
        result = compare(report("old", old), report("new", new), specs=LATENCY, variants=variants)
    return [m for c in result.cases for m in c.metrics]


def half_width(m: MetricComparison) -> float:
    return math.log((m.ci_high or math.inf) / (m.ci_low or 1.0)) / 2


def false_alarms(decisions: int) -> None:
    noises = [k for k in DISTRIBUTIONS if k in ("two modes 60:40", "two modes 89:11", "recorded")]
    rows = []
    for name in noises:
        draw = DISTRIBUTIONS[name]
        for cases, factor in [(1, 1.0), (10, 1.0), (1, 1.05), (10, 1.05)]:
            row = [name, str(cases), f"{factor:g}"]
            for n in (7, 10, 20):
                for same_run in (False, True):
                    alarms = (
                        any(
                            m.outcome == "regression"
                            for m in gate(
                                [draw(n) for _ in range(cases)],
                                [factor * draw(n) for _ in range(cases)],
                                same_run,
                            )
                        )
                        for _ in range(decisions // (5 if cases > 1 else 1))
                    )
                    row.append(share(list(alarms)))
            rows.append(row)
    sizes = [f"n = {n}, {kind}, %" for n in (7, 10, 20) for kind in KINDS]
    table(
        f"Gate at 5 %: false alarms over {decisions} decisions ({decisions // 5} with 10 cases)",
        ["launches", "cases", "true ratio", *sizes],
        rows,
    )


def moods(decisions: int) -> None:
    """Both sides are the same, on a machine that keeps one speed (5.4 or 7.9 ms) for about as many
    rounds as a row says: two runs may meet different speeds, but the two launches of a round meet
    the same one."""

    def mood(n: int, lasting: int) -> NDArray[np.float64]:
        turns = RNG.random(n) < 1 / lasting
        turns[0] = RNG.random() < 0.5
        return np.where(np.cumsum(turns) % 2, 7.9, 5.4) / 5.4

    def noise(n: int) -> NDArray[np.float64]:
        return np.asarray(np.exp(0.03 * RNG.standard_normal(n)))

    rows = []
    for lasting in (2, 5, 20, 100):
        row = [str(lasting)]
        for n in (10, 20):
            apart, together = [], []
            for _ in range(decisions):
                same = mood(n, lasting)
                apart += gate([same * noise(n)], [mood(n, lasting) * noise(n)], False)
                together += gate([same * noise(n)], [same * noise(n)], True)
            row += [share([m.outcome == "regression" for m in side]) for side in (apart, together)]
        rows.append(row)
    head = ["rounds a mood lasts", *(f"n = {n}, {k}, %" for n in (10, 20) for k in KINDS)]
    table("Gate at 5 % on a moody machine: false alarms", head, rows)


def power(decisions: int) -> None:
    rows = []
    for name in [k for k in DISTRIBUTIONS if k in ("normal", "two modes 89:11", "recorded")]:
        draw = DISTRIBUTIONS[name]
        for factor in (1.0, 1.1, 1.2):
            row = [name, f"{factor:g}"]
            single = draw(decisions) * factor / draw(decisions) > 1.05
            row.append(share(single))
            for n in (10, 20, 40):
                found = [gate([draw(n)], [factor * draw(n)], True)[0] for _ in range(decisions)]
                row.append(share([m.outcome == "regression" for m in found]))
            tight = [m.outcome == "regression" for m in found if half_width(m) <= 0.03]
            row.append(share(tight) if len(tight) > 20 else "none so tight")
            answers = [sequentially(draw, factor) for _ in range(decisions // 2)]
            row.append(share([a[0] == "regression" for a in answers]))
            row.append(f"{float(np.median([a[1] for a in answers])):.0f}")
            rows.append(row)
    head = ["launches", "true ratio", "one process each, %"]
    head += [
        *(f"{n} rounds, %" for n in (10, 20, 40)),
        "of 40 within ±3 %",
        "ab, %",
        "ab, median rounds",
    ]
    table("How often a regression beyond 5 % is called", head, rows)


def sequentially(draw: Draw, factor: float, looks: int = 8) -> tuple[str, int]:
    """(answer, rounds) of `ab`, given up after the last look."""
    before, after = draw(rounds_at(looks)), factor * draw(rounds_at(looks))
    rounds = list(zip(before.tolist(), after.tolist(), strict=True))
    for look in range(1, looks + 1):
        decision = decide(rounds, look=look)
        if decision.decided:
            break
    return decision.outcome, decision.rounds


def stopping(reps: int) -> None:
    """A bench goes on until the interval is narrow: does looking at it spoil it?"""
    rows = []
    for name, draw in DISTRIBUTIONS.items():
        truth = float(np.median(draw(400_000)))
        hits, used = [], []
        for _ in range(reps):
            x = draw(60).tolist()
            estimates = (median_interval(x[:n]) for n in range(7, 61))
            known = [e for e in estimates if e is not None]
            last = next((e for e in known if e.half_width <= 0.03), known[-1])
            hits.append(last.ci_low <= truth <= last.ci_high)
            used.append(last.n)
        rows.append([name, f"{float(np.median(used)):.0f}", share(hits)])
    head = ["launches", "median n", "covered, %"]
    table("Stopped at ±3 % or 60 launches: how often the interval holds the truth", head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a tenth of the simulations")
    parser.add_argument("--launches", type=Path, metavar="FILE", help="a report.json to draw from")
    options = parser.parse_args()
    scale = 10 if options.quick else 1
    if options.launches:
        DISTRIBUTIONS["recorded"] = recorded(options.launches)
    coverage_of_medians(4000 // scale)
    coverage_of_ratios(4000 // scale)
    coverage_of_tails(600 // scale)
    stopping(1000 // scale)
    doubts(2000 // scale)
    false_alarms(2000 // scale)
    moods(1000 // scale)
    power(1000 // scale)


if __name__ == "__main__":
    main()
