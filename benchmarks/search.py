"""What is `search` worth?

    python benchmarks/search.py demo         on the demo images, in ten minutes, three seeds: a
                                             model within the margin that is at least 5 times
                                             smaller than lite0-gray-int8, beside a grid over the
                                             same space in the same time
    python benchmarks/search.py hypervolume  40 trials against 40 at random, five seeds: the area
                                             that the front dominates
    python benchmarks/search.py lab          trials a minute on three hosts of a lab against one

Prints the figures side by side and exits 1 where they fall short of what docs/explanation/search.md
says. `demo` takes an hour and a quarter on two processors of its own, `hypervolume` as long as the
different candidates that it meets take (each is trained once), `lab` two minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from harness.artifacts.child import forked
from harness.core.search import Sampler, SearchRequest, Trial
from harness.core.specs import SearchSpec, VariantsFile
from harness.core.types import Report
from harness.results import searches, store
from harness.search import loop, prepare, session
from harness.search import study as studies
from harness.search.objective import Built
from harness.search.space import read_space
from harness.system.files import cache_dir
from harness.system.progress import Narrator

ROOT = Path(__file__).parent.parent
REFERENCE = "lite0-gray-int8"
SMALLER, MARGIN = 5.0, 0.02
# What the cache may hold when a search begins: images, and the features of the trunk.
GIVEN = ("data", "features", "imagenet", "weights", "representative")
TRIALS = 40
FASTER = 2.3


def main() -> int:
    """The part that was asked for; 1 where it falls short."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["demo", "hypervolume", "lab", "one"])
    parser.add_argument("--seeds", type=int, help="of demo 3, of hypervolume 5")
    parser.add_argument("--seconds", type=float, default=600.0, help="of demo, for each search")
    parser.add_argument("--trials", type=int, default=TRIALS, help="of hypervolume")
    parser.add_argument("--models", default="efficientnet_lite", help="entries of the space")
    parser.add_argument("--data", help="of hypervolume; default: demo images")
    parser.add_argument(
        "--landscape",
        action="store_true",
        help="of hypervolume: a made-up space whose trials take no time",
    )
    parser.add_argument("--takes", type=float, default=4.0, help="of lab: seconds of a trial")
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--sampler", default="tpe", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    spaces = tuple(asked.models.split(","))
    if asked.part == "one":
        return one(asked.seed, asked.sampler, asked.seconds, spaces, asked.out)
    if asked.part == "demo":
        return demo(asked.seeds or 3, asked.seconds, asked.models)
    if asked.part == "hypervolume":
        tried = (
            _on_landscape if asked.landscape else partial(_trials, spaces=spaces, data=asked.data)
        )
        return hypervolume(asked.seeds or 5, asked.trials, tried)
    return lab(asked.takes)


# --- the demo --------------------------------------------------------------------------------


def one(seed: int, sampler: Sampler, seconds: float, spaces: tuple[str, ...], out: Path) -> int:
    """One search of `demo`, in a separate process, because it has a separate cache. The seed is the
    optimizer's; images and networks are the same in all."""
    with Narrator() as narrator:
        session.begin(
            SearchRequest(
                spaces=spaces,
                against=(REFERENCE,),
                max_accuracy_loss=MARGIN,
                time_budget_s=seconds,
                seed=seed,
                workers=2,
                sampler=sampler,
                project=str(ROOT),
            ),
            narrator,
            out=out,
        )
    return 0


def demo(seeds: int, seconds: float, models: str) -> int:
    """See the module."""
    print(f"demo images, {seconds:.0f} s each, space {models}, margin {MARGIN:.0%}")
    print(f"{'seed':4} {'by':6} {'trials':>6} {'smallest':>10} {'smaller':>8} {'lost':>7} bound")
    found: dict[tuple[int, str], float | None] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(seeds):
            warm = Path(scratch) / f"warm-{seed}"
            _warm(warm, seed, models)
            for sampler in ("tpe", "grid"):
                folder = Path(scratch) / f"{sampler}-{seed}"
                cache = folder / "cache"
                for name in GIVEN:
                    if (warm / name).exists():
                        shutil.copytree(warm / name, cache / name)
                _child(cache, "--seed", str(seed), "--sampler", sampler, "--out", str(folder),
                       "--seconds", str(seconds), "--models", models)  # fmt: skip
                found[seed, sampler] = _smallest(folder, seed, sampler)
    good = sum(_at_least(found[seed, "tpe"], SMALLER) for seed in range(seeds))
    not_beaten = sum(
        (found[seed, "grid"] or 0) <= (found[seed, "tpe"] or 0) for seed in range(seeds)
    )
    print(f"at least {SMALLER:g} times smaller in {good} of {seeds} (asked for: all)")
    print(f"a grid found none smaller in {not_beaten} of {seeds} (asked for: two of three)")
    return int(good < seeds or 3 * not_beaten < 2 * seeds)


def _at_least(value: float | None, least: float) -> bool:
    return value is not None and value >= least


def _warm(cache: Path, seed: int, models: str) -> None:
    """A cache with the images and the trunk's features at every input size."""
    for name in GIVEN:
        if (cache_dir() / name).exists():
            shutil.copytree(cache_dir() / name, cache / name)
    _child(cache, "--seed", str(seed), "--sampler", "grid", "--seconds", "1", "--models", models,
           "--out", str(cache.parent / f"{cache.name}-out"))  # fmt: skip


def _child(cache: Path, *arguments: str) -> None:
    subprocess.run(
        [sys.executable, str(Path(__file__)), "one", *arguments],
        check=True,
        cwd=ROOT,
        env={**os.environ, "MOBILE_BENCH_CACHE": str(cache), "PYTHONPATH": str(ROOT)},
    )


def _smallest(out: Path, seed: int, sampler: str) -> float | None:
    """How many times smaller than the reference the smallest finalist within the margin is, by what
    it loses on test images; None if there is none. Prints a line."""
    folder = searches.find("latest", out)
    found = searches.read_report(folder)
    assert found is not None and found.final is not None
    if found.final.run_id is None:
        print(f"{seed:4} {sampler:6} {len(found.trials):6} nothing")
        return None
    report: Report = store.read_report(out / found.final.run_id)
    sizes = {a.variant: a.size_bytes for a in report.artifacts}
    losses = report.verdict.losses if report.verdict else {}
    within = [n for n in found.final.finalists if n in losses and losses[n].point <= MARGIN]
    best = min(within, key=lambda name: sizes[name], default=None)
    if best is None:
        print(f"{seed:4} {sampler:6} {len(found.trials):6} none within the margin")
        return None
    ratio, loss = sizes[REFERENCE] / sizes[best], losses[best]
    print(
        f"{seed:4} {sampler:6} {len(found.trials):6} {sizes[best] / 1e6:7.3f} MB {ratio:7.1f}x "
        f"{100 * loss.point:5.1f} % {100 * loss.bound:.1f} %",
        flush=True,
    )
    return ratio


# --- the optimizer ---------------------------------------------------------------------------


def hypervolume(seeds: int, trials: int, tried: Callable[..., tuple[Trial, ...]]) -> int:
    """See the module."""
    ratios = []
    print(f"{trials} trials; hypervolume of accuracy over log size")
    for seed in range(seeds):
        areas = {}
        for sampler in ("tpe", "random"):
            with tempfile.TemporaryDirectory() as scratch:
                areas[sampler] = area(tried(Path(scratch), seed, sampler, trials=trials))
        ratios.append(areas["tpe"] / areas["random"] if areas["random"] else 1.0)
        print(f"seed {seed}: search {areas['tpe']:.4f}, random {areas['random']:.4f}, "
              f"ratio {ratios[-1]:.4f}", flush=True)  # fmt: skip
    better = sum(ratio > 1 for ratio in ratios)
    print(f"median ratio {median(ratios):.4f} (asked for: at least 1.0), better in {better} of "
          f"{seeds} (asked for: three of five)")  # fmt: skip
    return int(median(ratios) < 1.0 or 5 * better < 3 * seeds)


def _trials(
    out: Path,
    seed: int,
    sampler: Sampler,
    *,
    trials: int,
    spaces: tuple[str, ...],
    data: str | None,
) -> tuple[Trial, ...]:
    """The real trials of one search, without finalists: the test split stays closed. The study's
    seed differs and the networks' does not, so that a candidate is the same in all and comes from
    the cache when it was tried before."""
    asked = SearchRequest(spaces=spaces, data=data, project=str(ROOT))
    with Narrator() as narrator:
        prepared = prepare.prepared(asked, narrator, out, ())
        setting = session._setting(prepared, out, narrator)
    objectives = prepared.header.objectives
    of = studies.Study(out, prepared.space, objectives, seed=seed, sampler=sampler)
    with contextlib.closing(of), forked.server:  # one import of TensorFlow for all trials
        loop.run(loop.Loop(of, Built(setting), trials=trials, stop=loop.Stop()), 1)
        return of.trials()


class _Landscape:
    """An Objective that takes no time. Accuracy rises with the logarithm of the work and falls off
    where depth and width are out of proportion; 400 answers are drawn of it, the same for every
    seed of the search."""

    def __call__(self, asked: studies.Asked, study: studies.Watched, stop: loop.Stop) -> Trial:
        import numpy as np

        options = {name: float(str(value)) for name, value in asked.candidate.options.items()}
        width, depth, pixels = options["width"], options["depth"], options["pixels"]
        work = width**2 * depth * (pixels / 256) ** 2
        share = 1 - 0.45 * np.exp(-work / 2000) - 0.05 * abs(np.log(width / (4 * depth)))
        rng = np.random.default_rng([int(10 * x) for x in (width, depth, pixels)])
        right = int(rng.binomial(400, float(np.clip(share, 0.5, 0.999))))
        return Trial(
            number=asked.number,
            candidate=asked.candidate,
            params=asked.params,
            state="done",
            size_bytes=int(9 * width**2 * depth + 3000),
            accuracy=right / 400,
            right=right,
            images=400,
        )

    def end(self) -> None:
        """Nothing to end."""


def _on_landscape(out: Path, seed: int, sampler: Sampler, *, trials: int) -> tuple[Trial, ...]:
    """The trials of one search of the landscape."""
    (out / "models").mkdir()
    (out / "models/net.py").write_text("def build(*, width=8, depth=2, pixels=96): ...\n")
    options: dict[str, object] = {
        "width": {"from": 4, "to": 128, "step": 4},
        "depth": {"from": 1, "to": 12},
        "pixels": {"from": 96, "to": 256, "step": 16},
    }
    file = VariantsFile(variants={}, search={"net": SearchSpec(options=options, recipe="int8")})
    space = read_space(file, out / "models")
    of = studies.Study(out, space, ("accuracy", "size_bytes"), seed=seed, sampler=sampler)
    with contextlib.closing(of):
        loop.run(loop.Loop(of, _Landscape(), trials=trials, stop=loop.Stop()), 1)
        return of.trials()


# Sizes in MB and accuracy beyond which nothing counts: the corner of what is dominated.
LARGEST_MB, SMALLEST_MB = 10.0, 0.01


def area(trials: tuple[Trial, ...]) -> float:
    """The share of (log size, accuracy) that the judged trials dominate."""
    import math

    width = math.log(LARGEST_MB / SMALLEST_MB)
    found = sorted(
        (math.log((t.size_bytes or 1) / 1e6 / SMALLEST_MB) / width, t.accuracy or 0.0)
        for t in trials
        if t.state == "done"
    )
    total, highest = 0.0, 0.0
    for size, accuracy in found:
        if accuracy > highest:
            total += max(0.0, 1 - max(0.0, size)) * (accuracy - highest)
            highest = accuracy
    return total


# --- the lab ---------------------------------------------------------------------------------


def lab(takes_s: float) -> int:
    """See the module: each host does one trial at a time, which waits for `takes_s`."""
    rates = {hosts: _rate(hosts, 4 * hosts, takes_s) for hosts in (1, 3)}
    ratio = rates[3] / rates[1]
    for hosts, rate in rates.items():
        print(f"{hosts} host(s): {rate:.1f} trials a minute of {takes_s:g} s each")
    print(f"ratio {ratio:.2f} (asked for: at least {FASTER})")
    return int(ratio < FASTER)


def _rate(hosts: int, trials: int, takes_s: float) -> float:
    """Trials a minute."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    from harness.engine import dask
    from harness.search import at_lab
    from tests import fixed_trial
    from tests.labs import lab as made_lab
    from tests.searches import Instant
    from tests.searches import study as made_study

    with (
        tempfile.TemporaryDirectory() as scratch,
        made_lab() as made,
        contextlib.closing(made_study(Path(scratch))) as of,
    ):
        for number in range(hosts):
            made.join(f"host{number}", cores=2)
        engine = dask.connect(made.address)
        with contextlib.closing(engine):
            doing = loop.Loop(of, Instant(), trials=trials, stop=loop.Stop())
            works = [
                at_lab.Slot(
                    doing,
                    "search-1",
                    arguments=fixed_trial.arguments(takes_s),
                    paths={},
                    bring=lambda address, made: None,
                    function="tests.fixed_trial:carry_out",
                )
                for _ in range(at_lab.slots(engine.where()))
            ]
            began = time.monotonic()
            at_lab.run(doing, engine, works)
            return trials / (time.monotonic() - began) * 60


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
