"""What was measured, over time: reads run folders directly, decodes only what a trend needs.

A report that cannot be read is named with the reason and skipped; a run without a report is one
that ended early.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from harness.core.errors import HarnessError, UsageError
from harness.core.search import SearchLine
from harness.core.text import command, count, did_you_mean
from harness.core.types import SCHEMA_VERSION, Status, Value
from harness.results import searches, store
from harness.stats import trend
from harness.stats.trend import Point, RunLine, Skipped, Trend


class _Part(msgspec.Struct, frozen=True):
    """A part of a report; fields that are not named here are skipped unread."""


class _Measured(_Part, frozen=True):
    unit: str
    point: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None


class _Case(_Part, frozen=True):
    variant: str
    device: str
    runtime: str
    delegate: str
    threads: int
    status: Status
    metrics: dict[str, _Measured]


class _Device(_Part, frozen=True):
    name: str
    identity: str
    emulated: bool = False


class _Data(_Part, frozen=True):
    name: str
    fingerprints: dict[str, str] = {}


class _Stopped(_Part, frozen=True):
    reason: str


class Run(_Part, frozen=True):
    """A saved run, without its launches."""

    schema_version: int
    run_id: str
    started_at: str
    cases: tuple[_Case, ...] = ()
    devices: tuple[_Device, ...] = ()
    data: _Data | None = None
    stopped: _Stopped | None = None

    @property
    def line(self) -> RunLine:
        """What a list of runs shows of it."""
        return RunLine(
            run_id=self.run_id,
            started_at=self.started_at,
            variants=tuple(dict.fromkeys(case.variant for case in self.cases)),
            devices=tuple(dict.fromkeys(map(self._named, self.cases))),
            statuses=dict(Counter(case.status for case in self.cases)),
            stopped=self.stopped.reason if self.stopped else "",
        )

    def _named(self, case: _Case) -> str:
        return case.device + _emulated(self, case)


class History(Value, frozen=True):
    """All runs and searches of a folder, oldest first."""

    runs: tuple[Run, ...]
    searches: tuple[SearchLine, ...] = ()
    skipped: tuple[Skipped, ...] = ()


def scan(out: Path) -> History:
    """Read every run folder of `out`. A folder that cannot be read is a UsageError, a broken run
    in it is not."""
    decoder = msgspec.json.Decoder(Run)
    runs: list[Run] = []
    found: list[SearchLine] = []
    skipped: list[Skipped] = []
    for folder in _folders(out):
        try:
            if (folder / store.REPORT).exists():
                runs.append(_read(folder / store.REPORT, decoder))
            elif (folder / store.HEADER).exists():
                fix = command("bench", "--resume", folder)
                skipped.append(Skipped(path=str(folder), reason="ended early", fix=fix))
            elif (folder / searches.HEADER).exists():
                line = searches.line(folder)
                if line is not None:
                    found.append(line)
                else:
                    fix = command("search", "--resume", folder)
                    skipped.append(Skipped(path=str(folder), reason="ended early", fix=fix))
        except (OSError, ValueError, msgspec.MsgspecError, HarnessError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            skipped.append(Skipped(path=str(folder), reason=reason))
    runs.sort(key=lambda run: (run.started_at, run.run_id))
    found.sort(key=lambda search: (search.started_at, search.search_id))
    return History(runs=tuple(runs), searches=tuple(found), skipped=tuple(skipped))


def _folders(out: Path) -> list[Path]:
    fix = "name the folder of the runs with --out"
    try:
        return sorted(p for p in out.iterdir() if p.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{out} is not a folder", fix) from None
    except OSError as error:
        raise UsageError(f"{out} cannot be read: {error.strerror}", fix) from None


def _read(path: Path, decoder: msgspec.json.Decoder[Run]) -> Run:
    data = path.read_bytes()
    try:
        run = decoder.decode(data)
    except (msgspec.ValidationError, RecursionError):
        # Perhaps an old schema: the slow way upgrades it, or says what is wrong.
        run = Run(schema_version=-1, run_id="", started_at="")
    if run.schema_version == SCHEMA_VERSION:
        return run
    report: Any = msgspec.to_builtins(store.decode(data, path))
    return msgspec.convert(report, Run)


def trends(
    history: History, *, metric: str = "latency", variant: str = "*", device: str = "*"
) -> list[Trend]:
    """The metric of every variant and device that match the patterns, a trend per setting and
    per machine of that name, with its changes; of accuracy and its like also per test images.
    Cases that must not be used are left out."""
    from fnmatch import fnmatchcase

    from harness.analysis import metric_specs

    spec = metric_specs.specs().get(metric)
    of_images = spec is not None and spec.labelled
    found: dict[tuple[str, str, str, str], list[tuple[Point, str]]] = {}
    for run in history.runs:
        identities = {d.name: d.identity for d in run.devices}
        for case in run.cases:
            m = case.metrics.get(metric)
            usable = case.status in ("ok", "suspect") and m is not None and m.point is not None
            matches = fnmatchcase(case.variant, variant) and fnmatchcase(case.device, device)
            if not usable or not matches or m is None or m.point is None:
                continue
            setting = _setting(case) + _emulated(run, case) + (_images(run) if of_images else "")
            key = (case.variant, case.device, identities.get(case.device, ""), setting)
            point = Point(
                run_id=run.run_id,
                started_at=run.started_at,
                value=m.point,
                ci_low=m.ci_low,
                ci_high=m.ci_high,
                status=case.status,
            )
            found.setdefault(key, []).append((point, m.unit))
    return [
        _trend(key, metric, unit=points[0][1], points=[p for p, _ in points])
        for key, points in sorted(found.items())
    ]


def _emulated(run: Run, case: _Case) -> str:
    """Whether its times are not those of a phone, whatever the device is called."""
    emulated = any(d.emulated for d in run.devices if d.name == case.device)
    return " (emulated)" if emulated else ""


def _images(run: Run) -> str:
    """Which test images its accuracy is of."""
    if run.data is None:
        return ""
    return f", {run.data.name} ({run.data.fingerprints.get('test', '')[-8:]})"


def _setting(case: _Case) -> str:
    return f"{case.runtime}, {case.delegate}, {count(case.threads, 'thread')}"


def _trend(key: tuple[str, str, str, str], metric: str, *, unit: str, points: list[Point]) -> Trend:
    variant, device, identity, setting = key
    # Sizes and counts have no interval, because they have no noise; a time always has noise.
    exact = unit != "ns" and all(p.ci_low is None for p in points)
    return Trend(
        variant=variant,
        device=device,
        identity=identity,
        setting=setting,
        metric=metric,
        unit=unit,
        points=tuple(points),
        changes=trend.changes([p.value for p in points], exact=exact),
        exact=exact,
    )


def nothing(history: History, metric: str, variant: str, device: str) -> UsageError:
    """Why there is no such trend: the variant, device or metric that no run has, and the names that
    runs have."""
    from fnmatch import fnmatchcase

    cases = [case for run in history.runs for case in run.cases]
    if not cases:
        fix = f"measure something: {command('bench')}"
        return UsageError("there is no saved run with a case", fix)
    for what, asked, found in (
        ("variant", variant, {c.variant for c in cases}),
        ("device", device, {c.device for c in cases}),
        ("metric", metric, {m for c in cases for m in c.metrics}),
    ):
        if any(fnmatchcase(name, asked) for name in found):
            continue
        return UsageError(f"no run has the {what} {asked!r}", did_you_mean(asked, found))
    return UsageError(
        f"{metric} of {variant!r} on {device!r} was never measured", "choose another --metric"
    )
