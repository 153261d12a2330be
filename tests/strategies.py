"""Hypothesis strategies, and the launches, evidence and reports that tests are built from."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from harness.analysis import metric_specs
from harness.core.types import (
    SCHEMA_VERSION,
    Artifact,
    Case,
    CaseReport,
    DeviceFacts,
    Evidence,
    Launch,
    Measurement,
    Plan,
    Report,
    TensorInfo,
    Tool,
)
from harness.stats.summaries import measure, measure_iterations

# A loaded machine is no failure.
settings.register_profile("harness", deadline=None)
settings.load_profile("harness")

MS = 1_000_000

SPECS = {
    name: metric_specs.specs()[name] for name in ("latency", "init", "peak_rss", "size", "accuracy")
}

# --- strategies ------------------------------------------------------------------------------

#: A latency in ns: from a tiny model to a huge one.
latencies = st.integers(min_value=10_000, max_value=10**10)

#: Medians of launches, enough of them for an interval.
medians = st.lists(latencies.map(float), min_size=5, max_size=40)

#: Launches with their iterations.
groups = st.lists(st.lists(latencies.map(float), min_size=1, max_size=30), min_size=5, max_size=12)

#: Rounds of a same-run comparison.
rounds = st.lists(st.tuples(latencies.map(float), latencies.map(float)), min_size=5, max_size=25)

factors = st.floats(min_value=0.01, max_value=100)

# --- builders --------------------------------------------------------------------------------


def launch(index: int, latency_ns: Sequence[float], **known: Any) -> Launch:
    """A launch of a healthy case; `known` replaces or adds fields."""
    fields: dict[str, Any] = {
        "case": "m",
        "index": index,
        "order": index,
        "started_at": "2026-11-23T00:00:00Z",
        "wall_ns": 10**9,
        "init_ns": 20 * MS,
        "first_inference_ns": 9 * MS,
        "warmup_ns": (6 * MS,),
        "latency_ns": tuple(round(v) for v in latency_ns),
        "peak_rss_bytes": 50 * 2**20,
        "clock_resolution_ns": 100,
    }
    return Launch(**{**fields, **known})


def steady_launches(
    n: int, median_ms: float = 5.0, *, seed: int = 0, between: float = 0.01, within: float = 0.01
) -> tuple[Launch, ...]:
    """Launches as a quiet machine makes them; `between` and `within` are relative spreads."""
    rng = random.Random(seed)
    made = []
    for index in range(n):
        centre = median_ms * MS * rng.lognormvariate(0, between)
        times = [centre * rng.lognormvariate(0, within) for _ in range(60)]
        made.append(launch(index, times, init_ns=round(20 * MS * rng.lognormvariate(0, between))))
    return tuple(made)


def case() -> Case:
    return Case(variant="m", device="host", runtime="litert")


def device(**known: Any) -> DeviceFacts:
    fields: dict[str, Any] = {
        "name": "host",
        "kind": "host",
        "identity": "cpu-of-host",
        "os": "Linux 6.1",
        "abi": "x86_64",
        "cpu": "Some CPU",
        "cores": 4,
        "runtimes": {"litert": "2.3.0"},
    }
    return DeviceFacts(**{**fields, **known})


def artifact(**known: Any) -> Artifact:
    fields: dict[str, Any] = {
        "variant": "m",
        "path": "m.tflite",
        "sha256": "a" * 64,
        "size_bytes": 1_000_000,
        "gzip_bytes": 900_000,
        "trained": True,
        "inputs": (TensorInfo(name="x", shape=(1, 8), dtype="float32"),),
    }
    return Artifact(**{**fields, **known})


def metrics_of(launches: Sequence[Launch], size: float = 1e6) -> dict[str, Measurement]:
    init = [float(k.init_ns) for k in launches if k.init_ns is not None]
    rss = [float(k.peak_rss_bytes) for k in launches if k.peak_rss_bytes is not None]
    return {
        "latency": measure_iterations([k.latency_ns for k in launches], "ns"),
        "init": measure(init, "ns"),
        "peak_rss": measure(rss, "bytes"),
        "size": Measurement(unit="bytes", point=size, n=1),
    }


def evidence(launches: Sequence[Launch], **known: Any) -> Evidence:
    """One case, whole: by default of a trained float model on a quiet host."""
    fields: dict[str, Any] = {
        "case": case(),
        "plan": Plan(cases=(case(),)),
        "artifact": artifact(),
        "launches": tuple(launches),
        "device": device(),
        "metrics": metrics_of(launches),
    }
    return Evidence(**{**fields, **known})


def case_report(launches: Sequence[Launch], variant: str = "m", **known: Any) -> CaseReport:
    fields: dict[str, Any] = {
        "variant": variant,
        "device": "host",
        "runtime": "litert",
        "delegate": "cpu",
        "threads": 1,
        "status": "ok",
        "metrics": metrics_of(launches),
        "launches": tuple(launches),
    }
    return CaseReport(**{**fields, **known})


def report(run_id: str, *cases: CaseReport, **known: Any) -> Report:
    fields: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "tool": Tool(name="mobile-bench-harness", version="0"),
        "run_id": run_id,
        "started_at": "2026-11-23T00:00:00Z",
        "host": {"python": "3.11"},
        "plan": Plan(cases=tuple(c.case for c in cases)),
        "devices": (device(),),
        "artifacts": tuple(
            artifact(variant=c.variant, sha256=f"{run_id}{c.variant}") for c in cases
        ),
        "cases": cases,
    }
    return Report(**{**fields, **known})
