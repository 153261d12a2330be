"""What reports for tests are made of: variants, devices, launches and cases.

Numbers are drawn from a seeded generator around medians that were really measured on a host, so
that pictures made from these reports look like the real thing.
"""

from __future__ import annotations

import hashlib
import random
from typing import NamedTuple

from harness.core.types import (
    Artifact,
    Case,
    CaseReport,
    Conditions,
    DeviceFacts,
    Failure,
    Launch,
    LayerSize,
    Measurement,
    Plan,
    Report,
    Stopped,
    TensorInfo,
    Tool,
)
from harness.stats.summaries import measure, measure_iterations


class Shape(NamedTuple):
    """A variant as the factory knows it: medians in ns, sizes in bytes."""

    model: str
    recipe: str
    size: int
    gzip: int
    latency: int
    memory: int
    accuracy: float


VARIANTS = {
    "vgg16": Shape("vgg16", "float32", 197_100_000, 182_900_000, 257_300_000, 268_400_000, 0.968),
    "scratch": Shape("scratch", "float32", 11_490_000, 10_600_000, 5_214_000, 61_900_000, 0.941),
    "mobilenet-int8": Shape(
        "mobilenet", "int8", 2_654_000, 2_160_000, 5_711_000, 40_100_000, 0.961
    ),
    "pruned": Shape("scratch", "pruned", 11_490_000, 2_910_000, 5_190_000, 61_500_000, 0.937),
    "mobilenet-gray-int8": Shape(
        "mobilenet", "int8", 2_649_000, 2_151_000, 5_402_000, 39_800_000, 0.962
    ),
}

HOSTILE_NAMES = (
    "<script>alert(1)</script>",
    'a"b',
    "a|b `code` *bold* [link](javascript:alert(1))",
    "[bold red]markup[/] [/bold]",
    "=cmd|' /C calc'!A0",
    "line\nbreak\ttab\rreturn",
    "\x1b[31mred\x1b]0;title\x07",
    "\u202egnp.evil",
    "模型-é-🙂",
    "x" * 300,
    "]]><!-- & &amp; </style></script>",
    "-2+3",
    "+1",
    "@SUM(A1)",
    "\t=1+1",
    " ",
)


def host(name: str = "host", *, emulated: bool = False) -> DeviceFacts:
    """A device as it describes itself."""
    return DeviceFacts(
        name=name,
        kind="android" if emulated else "host",
        identity=f"{name}-identity",
        model="AMD EPYC 7B13",
        os="Linux 6.1.0 x86_64",
        abi="x86_64",
        cpu="AMD EPYC 7B13",
        cores=2,
        ram_bytes=24 * 2**30,
        emulated=emulated,
        runtimes={"litert": "2.3.0"},
        extra={"python": "3.11.7"},
    )


def artifact(variant: str, shape: Shape, *, trained: bool | None = True) -> Artifact:
    """An artifact with a plausible inside: layers and types of weights add up to less than it."""
    weights = int(shape.size * 0.98)
    shares = (0.02, 0.05, 0.13, 0.25, 0.40, 0.10, 0.05)
    layers = tuple(
        LayerSize(
            name=f"{shape.model}/conv{i}" if i < 5 else f"{shape.model}/dense{i}",
            op="CONV_2D" if i < 5 else "FULLY_CONNECTED",
            size_bytes=int(weights * share),
            parameters=int(weights * share) // 4,
            macs=10_000_000 * (7 - i),
        )
        for i, share in enumerate(shares)
    )
    int8 = "int8" in shape.recipe
    return Artifact(
        variant=variant,
        path=f"/cache/{shape.model}/{shape.recipe}.tflite",
        sha256=hashlib.sha256(repr((variant, shape)).encode()).hexdigest(),
        size_bytes=shape.size,
        gzip_bytes=shape.gzip,
        model=shape.model,
        recipe=shape.recipe,
        weights="imagenet",
        trained=trained,
        parameters=weights // (1 if int8 else 4),
        sparsity=0.8 if shape.recipe == "pruned" else 0.0,
        macs=300_000_000,
        inputs=(
            TensorInfo(
                name="image",
                shape=(1, 256, 256, 1),
                dtype="int8" if int8 else "float32",
                scale=1.0 if int8 else None,
                zero_point=-128 if int8 else None,
            ),
        ),
        outputs=(TensorInfo(name="crack", shape=(1, 1), dtype="int8" if int8 else "float32"),),
        ops={"CONV_2D": 5, "FULLY_CONNECTED": 2, "MAX_POOL_2D": 5},
        weight_bytes={"int8": weights - 4_000, "int32": 4_000} if int8 else {"float32": weights},
        layers=layers,
    )


def launches_of(
    case: Case, shape: Shape, *, count: int, iterations: int, rng: random.Random, stride: int
) -> tuple[Launch, ...]:
    """`count` launches, one per round; `stride` is the number of cases in a round."""
    made = []
    for index in range(count):
        centre = shape.latency * rng.lognormvariate(0, 0.02)
        latency = tuple(int(centre * rng.lognormvariate(0, 0.03)) for _ in range(iterations))
        order = index * stride + rng.randrange(stride)
        peak = int(shape.memory * rng.uniform(0.99, 1.01))
        conditions = Conditions(load_average=0.4, other_cpu_share=0.02, temperature_c=41.0 + index)
        made.append(
            Launch(
                case=case.id,
                index=index,
                order=order,
                started_at=f"2026-11-23T10:{index // 60:02d}:{index % 60:02d}Z",
                wall_ns=sum(latency) + 900_000_000,
                init_ns=int(shape.latency * 0.6 * rng.lognormvariate(0, 0.05)),
                first_inference_ns=int(centre * 1.8),
                warmup_ns=tuple(int(centre * f) for f in (1.3, 1.1, 1.0)),
                latency_ns=latency,
                rss_before_load_bytes=28_000_000,
                rss_after_load_bytes=int(peak * 0.8),
                peak_rss_bytes=peak,
                rss_anon_bytes=int(peak * 0.6),
                rss_file_bytes=peak - int(peak * 0.6),
                arena_bytes=2_100_000,
                before=conditions,
                after=conditions,
            )
        )
    return tuple(made)


def exact(unit: str, value: float) -> Measurement:
    """A measurement without sampling error."""
    return Measurement(unit=unit, point=value, n=1)


def case_report(
    case: Case, shape: Shape, *, count: int, iterations: int, rng: random.Random, stride: int
) -> CaseReport:
    """A case that went well."""
    launches = launches_of(case, shape, count=count, iterations=iterations, rng=rng, stride=stride)
    n = 400
    half = 1.96 * (shape.accuracy * (1 - shape.accuracy) / n) ** 0.5
    metrics = {
        "size": exact("bytes", shape.size),
        "gzip_size": exact("bytes", shape.gzip),
        "init": measure([x.init_ns or 0 for x in launches], "ns"),
        "first_inference": measure([x.first_inference_ns or 0 for x in launches], "ns"),
        "latency": measure_iterations([x.latency_ns for x in launches], "ns"),
        "peak_rss": measure([x.peak_rss_bytes or 0 for x in launches], "bytes"),
        "rss_anon": measure([x.rss_anon_bytes or 0 for x in launches], "bytes"),
        "rss_file": measure([x.rss_file_bytes or 0 for x in launches], "bytes"),
        "accuracy": Measurement(
            unit="1",
            point=shape.accuracy,
            ci_low=shape.accuracy - half,
            ci_high=min(1.0, shape.accuracy + half),
            confidence=0.95,
            n=n,
        ),
    }
    return CaseReport(
        variant=case.variant,
        device=case.device,
        runtime=case.runtime,
        delegate=case.delegate,
        threads=case.threads,
        status="ok",
        metrics=metrics,
        launches=launches,
    )


def failed(case: Case, message: str = "the worker was killed by SIGSEGV") -> CaseReport:
    """A case that ended before it was measured."""
    return CaseReport(
        variant=case.variant,
        device=case.device,
        runtime=case.runtime,
        delegate=case.delegate,
        threads=case.threads,
        status="failed",
        metrics={},
        failure=Failure(
            stage="launch",
            transient=False,
            message=message,
            fix="run it alone with --launches 1 and read reports/x/logs",
        ),
    )


def make(
    variants: dict[str, Shape] | None = None,
    *,
    devices: tuple[DeviceFacts, ...] = (),
    threads: tuple[int, ...] = (1,),
    launches: int = 7,
    iterations: int = 20,
    seed: int = 0,
    run_id: str = "20261123-101500-a1b2",
) -> Report:
    """The cross product of variants, devices and threads, everything measured."""
    variants = VARIANTS if variants is None else variants
    devices = devices or (host(),)
    rng = random.Random(seed)
    keys = [
        (Case(variant=name, device=device.name, runtime="litert", threads=t), shape)
        for device in devices
        for t in threads
        for name, shape in variants.items()
    ]
    cases = tuple(
        case_report(case, shape, count=launches, iterations=iterations, rng=rng, stride=len(keys))
        for case, shape in keys
    )
    return Report(
        schema_version=1,
        tool=Tool(name="mobile-bench-harness", version="0.1.0"),
        run_id=run_id,
        started_at="2026-11-23T10:15:00Z",
        finished_at="2026-11-23T10:17:08Z",
        host={"os": "Linux 6.1.0", "cpu": "AMD EPYC 7B13", "cores": 2, "python": "3.11.7"},
        plan=Plan(cases=tuple(case for case, _ in keys), seed=seed, launches=launches),
        command=("python", "-m", "harness", "bench", "--launches", str(launches)),
        stopped=Stopped(reason="launches", worst_half_width=0.031),
        devices=devices,
        artifacts=tuple(artifact(name, shape) for name, shape in variants.items()),
        cases=cases,
    )
