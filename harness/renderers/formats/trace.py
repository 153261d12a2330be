"""A trace for ui.perfetto.dev: launches, rounds and pauses on a time axis, with the clocks and the
temperature of the device below.

Trace Event Format, JSON: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
A device is a process of the trace and a case one of its threads. Times begin with the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from harness.core import units
from harness.core.types import (
    CaseReport,
    Conditions,
    Finding,
    LatencySummary,
    Launch,
    Minute,
    Report,
)
from harness.renderers.view import View

Event = dict[str, Any]
_THREADS = 100_000  # of one process, at most
_PLACED = (
    "The durations of a launch's stages were measured, their starts were not: the stages are "
    "placed one after the other so that the last ends with the launch."
)


def render(view: View) -> bytes:
    """JSON: `traceEvents` in microseconds from the start of the run, `otherData` about the run."""
    report = view.report
    # Another host of a lab may have another time, and an event before 0 would be dropped.
    launches = (x for case in report.cases for last in case.launches for x in _all(last))
    start = min(map(_ns, (report.started_at, *(launch.started_at for launch in launches))))
    events: list[Event] = []
    for pid, device in enumerate(dict.fromkeys(c.device for c in report.cases), start=1):
        lane = _Lane(pid, start)
        events.append(lane.named("process_name", 0, _title(report, device)))
        events += _device(lane, [c for c in report.cases if c.device == device], view)
    other = {
        "run": report.run_id,
        "started_at": report.started_at,
        "tool": f"{report.tool.name} {report.tool.version}",
        "placed": _PLACED,
        "findings": [_said(finding) for finding in report.findings],
        "cases": [_about(case) for case in report.cases],
    }
    whole = {"traceEvents": events, "displayTimeUnit": "ms", "otherData": other}
    return msgspec.json.encode(whole) + b"\n"


def _title(report: Report, device: str) -> str:
    facts = next((d for d in report.devices if d.name == device), None)
    about = (facts.model, "emulated" if facts.emulated else None) if facts else ()
    return ", ".join(units.printable(x) for x in (device, *about) if x)


def _about(case: CaseReport) -> dict[str, Any]:
    """What a time axis cannot show about a case."""
    about: dict[str, Any] = {
        "case": units.printable(case.case.id),
        "status": case.status,
        "findings": [_said(finding) for finding in case.findings],
    }
    if case.failure is not None:
        failure = case.failure
        about["failure"] = units.printable(f"{failure.stage}: {failure.message}; {failure.fix}")
    return about


def _said(finding: Finding) -> str:
    return units.printable(f"{finding.level} {finding.code}: {finding.message}; {finding.fix}")


def _ns(iso: str) -> int:
    """Nanoseconds since 1970, to the millisecond that a report has."""
    return round(datetime.fromisoformat(iso).timestamp() * 1000) * 1_000_000


# --- events ----------------------------------------------------------------------------------


class _Span(NamedTuple):
    """A stretch of time in nanoseconds from the start of the run."""

    begin: int
    duration: int

    @property
    def end(self) -> int:
        return self.begin + self.duration


class _Lane(NamedTuple):
    """The events of one device. `start` is the start of the run, in nanoseconds since 1970. Threads
    are counted from 0, which is that of the device itself."""

    pid: int
    start: int

    def thread(self, number: int) -> int:
        """The id of a thread, the only one with it in the whole trace."""
        # Perfetto merges threads with the same id, and treats 0 as a thread of the system.
        return self.pid * _THREADS + number

    def named(self, what: str, tid: int, name: str) -> Event:
        return {
            "ph": "M",
            "name": what,
            "pid": self.pid,
            "tid": self.thread(tid),
            "args": {"name": name},
        }

    def slice(self, tid: int, name: str, span: _Span, args: Event | None = None) -> Event:
        times = {"ts": span.begin / 1000, "dur": span.duration / 1000}
        event: Event = {"ph": "X", "name": name, "pid": self.pid, "tid": self.thread(tid), **times}
        return {**event, "args": args} if args else event

    def counter(self, name: str, at: int, values: dict[str, float]) -> Event:
        base = {"ph": "C", "name": name, "pid": self.pid, "tid": self.thread(0)}
        return {**base, "ts": at / 1000, "args": values}

    def span(self, launch: Launch) -> _Span:
        """When the launch was; never shorter than its stages."""
        inside = sum(duration for _, duration in _stages(launch))
        return _Span(_ns(launch.started_at) - self.start, max(launch.wall_ns, inside))


# --- what a device did -----------------------------------------------------------------------


def _device(lane: _Lane, cases: list[CaseReport], view: View) -> Iterator[Event]:
    yield lane.named("thread_name", 0, "pauses")
    launches: list[Launch] = []
    for tid, case in enumerate(cases, start=1):
        label = units.printable(view.names_on(case.device)[case.case.id])
        yield lane.named("thread_name", tid, label)
        for last in case.launches:
            for launch in _all(last):
                aside = "" if launch is last else ", set aside"
                yield from _launch(lane, tid, launch, f"launch {launch.index + 1}{aside}")
                launches.append(launch)
    launches.sort(key=lane.span)
    yield from _rounds(lane, launches)
    yield from _pauses(lane, launches)
    yield from _conditions(lane, launches)


def _all(launch: Launch) -> Iterator[Launch]:
    """A launch, and before it those that it was made in place of."""
    if launch.set_aside is not None:
        yield from _all(launch.set_aside)
    yield launch


def _launch(lane: _Lane, tid: int, launch: Launch, name: str) -> Iterator[Event]:
    """The launch, and in it its stages. A runner reports how long a stage took, but not when it
    began. The empty time before the first stage is the start of the process."""
    span, stages = lane.span(launch), list(_stages(launch))
    args: Event = {"order": launch.order + 1}
    if launch.notes:
        args["notes"] = [_said(note) for note in launch.notes]
    yield lane.slice(tid, name, span, args)
    now = span.end - sum(duration for _, duration in stages)
    for stage, duration in stages:
        yield lane.slice(tid, stage, _Span(now, duration))
        now += duration


def _stages(launch: Launch) -> Iterator[tuple[str, int]]:
    """Name and duration (ns) of what the launch did, in this order."""
    if launch.init_ns is not None:
        yield "init", launch.init_ns
    if launch.first_inference_ns is not None:
        yield "first inference", launch.first_inference_ns
    yield from _inferences("warm-up", launch.warmup_ns, launch.warmup_summary)
    if launch.minutes:
        yield from ((f"{x.iterations} iterations", _length(x)) for x in launch.minutes)
    else:
        yield from _inferences("iteration", launch.latency_ns, launch.latency_summary)


def _inferences(
    name: str, each: tuple[int, ...], summary: LatencySummary | None
) -> Iterator[tuple[str, int]]:
    """The iterations one by one; if there is only a summary, all of them as one stage."""
    if each:
        yield from ((name, duration) for duration in each)
    elif summary is not None:
        mean = summary.median_ns if summary.mean_ns is None else summary.mean_ns
        yield f"{name}, {summary.count} times", summary.count * mean


def _length(minute: Minute) -> int:
    return minute.iterations * minute.mean_ns


def _rounds(lane: _Lane, launches: Iterable[Launch]) -> Iterator[Event]:
    """Asynchronous slices, since a launch of an early round may be made again in a later one."""
    ends: dict[int, tuple[int, int]] = {}
    for launch in launches:
        span = lane.span(launch)
        low, high = ends.get(launch.index, (span.begin, span.end))
        ends[launch.index] = min(low, span.begin), max(high, span.end)
    for index, (begin, end) in sorted(ends.items()):
        # "local" makes the id one of this process.
        base = {"name": f"round {index + 1}", "cat": "rounds", "id2": {"local": str(index + 1)}}
        for phase, at in (("b", begin), ("e", end)):
            yield {**base, "ph": phase, "pid": lane.pid, "tid": lane.thread(0), "ts": at / 1000}


def _pauses(lane: _Lane, launches: Iterable[Launch]) -> Iterator[Event]:
    """What lies between launches; a cool-down where the device was hot after the last one."""
    last: _Span | None = None
    hot = False
    for launch in launches:
        span = lane.span(launch)
        if last is not None and span.begin > last.end:
            name = "cool-down" if hot else "pause"
            yield lane.slice(0, name, _Span(last.end, span.begin - last.end))
        if last is None or span.end > last.end:
            last = span
        hot = bool(launch.after and launch.after.thermal_status)


def _conditions(lane: _Lane, launches: Iterable[Launch]) -> Iterator[Event]:
    """Counters: clocks, temperature, battery and load before and after each launch."""
    for launch in launches:
        span = lane.span(launch)
        if launch.before is not None:
            yield from _counters(lane, span.begin, launch.before)
        now = span.end - sum(map(_length, launch.minutes))
        for minute in launch.minutes:
            now += _length(minute)
            heat = Conditions(
                temperature_c=minute.temperature_c, thermal_status=minute.thermal_status
            )
            yield from _counters(lane, now, heat)
        if launch.after is not None:
            yield from _counters(lane, span.end, launch.after)


def _counters(lane: _Lane, at: int, now: Conditions) -> Iterator[Event]:
    """A counter per quantity that is known; of clocks, a line per core."""
    single = {
        "temperature, °C": now.temperature_c,
        "thermal status": now.thermal_status,
        "battery, %": now.battery_percent,
        "load average": now.load_average,
        "share of the processors that others use": now.other_cpu_share,
    }
    for name, value in single.items():
        if value is not None:
            yield lane.counter(name, at, {"value": value})
    for name, clocks in (("clock, MHz", now.frequency_khz), ("clock limit, MHz", now.limit_khz)):
        if clocks:
            cores = {f"core {core}": khz / 1000 for core, khz in enumerate(clocks)}
            yield lane.counter(name, at, cores)
