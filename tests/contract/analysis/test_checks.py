"""Every check, over every kind of evidence: none raises, each doubts what it should and nothing
else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from harness.analysis import metric_specs
from harness.core.pixels import named
from harness.core.types import (
    Case,
    Conditions,
    DeviceFacts,
    Drawn,
    Evidence,
    Failure,
    Finding,
    LatencySummary,
    Launch,
    Measurement,
    Minute,
    OpTime,
    Outputs,
    Plan,
    TensorInfo,
    Tried,
)
from harness.system import plugins
from tests import answers
from tests.strategies import MS, artifact, case, device, evidence, launch, steady_launches

MANY = 30_000_000  # multiply-accumulates

QUIET = Conditions(load_average=0.2, other_cpu_share=0.02, governor="performance")


def with_fields(launches: tuple[Launch, ...], **fields: Any) -> tuple[Launch, ...]:
    return tuple(msgspec.structs.replace(x, **fields) for x in launches)


def warm_up(iterations: int, n: int = 10) -> tuple[Launch, ...]:
    """Launches whose first timed iterations are a fifth slower."""
    return tuple(
        msgspec.structs.replace(
            x,
            latency_ns=tuple(
                round(v * (1.2 if i < iterations else 1)) for i, v in enumerate(x.latency_ns)
            ),
        )
        for x in steady_launches(n)
    )


def two_speeds() -> tuple[Launch, ...]:
    slow = steady_launches(8, 7.9, seed=4)
    fast = steady_launches(12, 5.4, seed=5)
    order = [0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1, 1]
    sides = [iter(slow), iter(fast)]
    return tuple(
        msgspec.structs.replace(next(sides[side]), index=i, order=i) for i, side in enumerate(order)
    )


def drifting() -> tuple[Launch, ...]:
    return tuple(launch(i, [5 * MS * 1.03**i] * 20) for i in range(10))


def changing_mood() -> tuple[Launch, ...]:
    """Eight launches fast, eight slow, and so on."""
    return tuple(
        msgspec.structs.replace(
            x, latency_ns=tuple(round(v * (1.05 if i // 8 % 2 else 1)) for v in x.latency_ns)
        )
        for i, x in enumerate(steady_launches(24))
    )


def outputs(
    finite: bool = True, constant: bool = False, source: str = "demo images", examples: int = 1
) -> tuple[Launch, ...]:
    values = ((0.1,),) * examples
    answer = Outputs(values=values, finite=finite, constant=constant, input_source=source)
    return with_fields(steady_launches(7), outputs=answer)


def text_answers() -> tuple[Launch, ...]:
    answer = Outputs(
        values=((),), finite=True, constant=None, input_source="seeded", text=("label",)
    )
    return with_fields(steady_launches(7), outputs=answer)


def delegated(nodes: int, total: int, delegate: str) -> Evidence:
    on = Case(variant="m", device="phone", runtime="litert", delegate=delegate)
    counters = {"delegated_nodes": nodes, "total_nodes": total}
    return evidence(with_fields(steady_launches(7), counters=counters), case=on)


def int8_on(runtime: str) -> Evidence:
    on = Case(variant="m", device="host", runtime=runtime)
    return evidence(steady_launches(7), case=on, artifact=artifact(recipe="pruned+int8"))


def counted(per_mac: float, *peers: float, recipe: str = "int8", macs: int = MANY) -> Evidence:
    """An emulated core's case whose instructions per MAC are far from or near those of others,
    which have MANY."""

    def one(value: float, peers: tuple[Evidence, ...] = (), macs: int = MANY) -> Evidence:
        return evidence(
            with_fields(steady_launches(1), latency_ns=(), instructions=(100, 100)),
            artifact=artifact(
                macs=macs,
                weight_bytes={"int8": 900_000, "int32": 10},
                ops={"QUANTIZE": 1} if recipe == "int8" else {},
            ),
            metrics={"instructions_per_mac": Measurement(unit="1", point=value, n=1)},
            peers=peers,
        )

    return one(per_mac, tuple(one(value) for value in peers), macs)


def brought(scores: list[float]) -> Evidence:
    """A file without a recipe of ours that answered 40 images of two classes, 1 0 1 0 ..."""
    return evidence((), artifact=artifact(), evaluation=answers.evaluation(scores, [1, 0] * 20))


def given_as(source: str, *right: tuple[int, int, int]) -> Evidence:
    """A file whose pixels are known from `source`; of other pixels how many were decided rightly,
    only so, and only as assumed."""
    names = ("0..255", "0..1", "-1..1")
    tried = tuple(
        Tried(pixels=named(name, "assumed"), n=50, right=r, only_so=so, only_as_assumed=not_so)
        for name, (r, so, not_so) in zip(names, right, strict=False)
    )
    found = answers.evaluation([0.9, 0.1] * 20, [1, 0] * 20, pixels=named(names[0], source))  # type: ignore[arg-type]
    return evidence((), artifact=artifact(), evaluation=msgspec.structs.replace(found, tried=tried))


def in_part(n: int, of: int) -> Evidence:
    found = answers.evaluation([0.9, 0.1] * (n // 2), [1, 0] * (n // 2), of=of)
    return evidence((), artifact=artifact(), evaluation=found)


def saturated(share: float) -> Evidence:
    tensor = TensorInfo(name="x", shape=(1, 8, 8, 1), dtype="int8", scale=1 / 255, zero_point=-128)
    found = answers.evaluation([0.9, 0.1] * 20, [1, 0] * 20, saturated=share)
    return evidence((), artifact=artifact(inputs=(tensor,)), evaluation=found)


def coarse(pixels: str, scale: float) -> Evidence:
    tensor = TensorInfo(name="x", shape=(1, 8, 8, 1), dtype="uint8", scale=scale, zero_point=0)
    found = answers.evaluation([0.9, 0.1] * 20, [1, 0] * 20, saturated=0.0)
    found = msgspec.structs.replace(found, pixels=named(pixels, "asked"))
    return evidence((), artifact=artifact(inputs=(tensor,)), evaluation=found)


def beside_the_host(
    ours: float | None, theirs: float, scale: float | None = None, values: int = 1
) -> Evidence:
    def answer(value: float | None) -> Outputs:
        return Outputs(
            values=((value,),), finite=value is not None, constant=None, input_source="seeded"
        )

    both = with_fields(steady_launches(7), outputs=answer(ours), reference=answer(theirs))
    output = TensorInfo(name="y", shape=(1, values), dtype="int8", scale=scale)
    difference = metric_specs.metrics()["parity_difference"]
    about = evidence(both, artifact=artifact(outputs=(output,)))
    return msgspec.structs.replace(
        about, metrics={**about.metrics, "parity_difference": difference.extract(about)}
    )


def sustained(*means_ms: float) -> Evidence:
    """A launch whose minutes have these mean latencies."""
    minutes = tuple(
        Minute(iterations=100, median_ns=round(m * MS), mean_ns=round(m * MS), temperature_c=30 + i)
        for i, m in enumerate(means_ms)
    )
    return evidence(with_fields(steady_launches(1), minutes=minutes))


def drew(before_uw: int, after_uw: int) -> Evidence:
    """A sustained launch with 2.5 W under load and these idle draws."""
    drawn = Drawn(
        source="battery",
        unit="mA",
        every_ns=1_000_000_000,
        idle_before=(before_uw,) * 60,
        idle_after=(after_uw,) * 60,
        loaded=((2_500_000,) * 60,) * 2,
        ns_per_inference=(10_000_000,) * 2,
    )
    return evidence(with_fields(steady_launches(1), drawn=(drawn,)))


def profiled(*ops: OpTime, why: str = "") -> Evidence:
    absent = {"op_times": why} if why else {}
    about = evidence(with_fields(steady_launches(7), op_times=ops, absent=absent))
    timing = msgspec.structs.replace(about.plan.timing, profile=True)
    return msgspec.structs.replace(about, plan=msgspec.structs.replace(about.plan, timing=timing))


def conditions(**fields: Any) -> Evidence:
    state = msgspec.structs.replace(QUIET, **fields)
    return evidence(with_fields(steady_launches(7), before=state, after=state))


# check -> (code, level, evidence): every line is a doubt that must be raised.
def clocks(**changed: Any) -> Evidence:
    """Fixed clocks, with something else after the third of eight launches."""
    steady = Conditions(
        limit_khz=(1_800_000, 2_850_000), frequency_khz=(1_800_000, 2_850_000), screen_on=False
    )
    launches = list(with_fields(steady_launches(8), before=steady, after=steady))
    after = msgspec.structs.replace(steady, **changed)
    launches[2] = msgspec.structs.replace(launches[2], after=after)
    return evidence(tuple(launches), device=device(extra={"fixed_performance": "on"}))


def in_step(cadence_ms: float, mean_ms: float, p95_ms: float) -> Evidence:
    """A phone's launches, with an inference asked for every so often."""
    summary = LatencySummary(
        count=50,
        median_ns=round(mean_ms * MS),
        mean_ns=round(mean_ms * MS),
        p95_ns=round(p95_ms * MS),
    )
    about = evidence(with_fields(steady_launches(7), latency_ns=(), latency_summary=summary))
    timing = msgspec.structs.replace(about.plan.timing, cadence_ns=round(cadence_ms * MS))
    return msgspec.structs.replace(about, plan=msgspec.structs.replace(about.plan, timing=timing))


def answered_there(
    device_scores: list[float], host_scores: list[float], delegate: str = "gpu", **known: Any
) -> Evidence:
    """One score for each of the same images, on a phone and here."""
    labels = [1, 0] * (len(host_scores) // 2)
    there = answers.evaluation(
        device_scores, labels[: len(device_scores)], case="m@phone", of=len(host_scores),
        rows_of_split=tuple(range(len(device_scores))), **known,
    )  # fmt: skip
    on = Case(variant="m", device="phone", runtime="benchmark_model", delegate=delegate)
    return evidence(
        (),
        case=on,
        artifact=artifact(model="scratch"),
        evaluation=answers.evaluation(host_scores, labels),
        on_device=there,
    )


SURE = [0.9, 0.1] * 50


def on_gpu_with(op: str, nodes: int) -> Evidence:
    """A GPU that took so many of 66 nodes of a model with this operator."""
    about = delegated(nodes, 66, "gpu")
    ops = {"CONV_2D": 65, op: 1}
    return msgspec.structs.replace(about, artifact=artifact(ops=ops))


FIRES: dict[str, list[tuple[str, str, Callable[[], Evidence]]]] = {
    "delegate_changed_answers": [
        (
            "delegate-changed-answers",
            "serious",
            lambda: answered_there([0.1] * 10 + SURE[10:], SURE),
        ),
        (
            "delegate-changed-answers",
            "serious",
            lambda: answered_there([float("nan"), *SURE[1:]], SURE),
        ),
        (
            "not-answered-on-device",
            "warning",
            lambda: answered_there([], SURE, failure=answers.FAILED),
        ),
        (
            "answered-on-device-in-part",
            "warning",
            lambda: answered_there(SURE[:40], SURE, broke_off=answers.FAILED),
        ),
    ],
    "fallback": [
        ("fallback-foreseen", "info", lambda: on_gpu_with("TOPK_V2", 60)),
        ("fallback-foreseen", "info", lambda: on_gpu_with("TOPK_V2", 66)),
    ],
    "cadence": [
        ("cadence-not-kept", "serious", lambda: in_step(100, 1130, 1140)),
        ("cadence-not-kept", "warning", lambda: in_step(100, 90, 110)),
    ],
    "sustained": [
        ("sustained", "info", lambda: sustained(5, 5)),
        ("sustained-slowdown", "warning", lambda: sustained(5, 6, 8)),
    ],
    "energy": [
        ("power", "info", lambda: drew(500_000, 500_000)),
        ("idle-draw-changed", "warning", lambda: drew(500_000, 900_000)),
    ],
    "op_profile": [
        (
            "op-profile",
            "info",
            lambda: profiled(OpTime(name="x", op="CONV_2D", mean_ns=1000, share=1.0)),
        ),
        ("no-op-profile", "warning", lambda: profiled(why="it prints none")),
    ],
    "quantization_broke": [
        ("quantization-broke-it", "serious", lambda: answers.child(150)),
        ("pruning-broke-it", "serious", lambda: answers.child(150, recipe="pruned")),
    ],
    "assumed_labels": [
        ("assumed-labels", "info", lambda: brought([0.9, 0.1] * 20)),
        ("assumed-labels", "warning", lambda: brought([0.1, 0.9] * 20)),
        ("assumed-labels", "info", lambda: brought([0.2, 0.8, 0.8, 0.2] * 20)),
    ],
    "assumed_pixels": [
        ("assumed-pixels", "warning", lambda: given_as("assumed")),
        ("assumed-pixels", "warning", lambda: given_as("assumed", (45, 0, 0), (46, 3, 2))),
        ("assumed-pixels", "warning", lambda: given_as("assumed", (20, 0, 0), (50, 30, 0))),
    ],
    "saturated_input": [("input-saturated", "serious", lambda: saturated(0.06))],
    "coarse_input": [("input-coarse", "serious", lambda: coarse("0..1", 1.0))],
    "keeps_state": [
        ("keeps-state", "info", lambda: evidence((), artifact=artifact(ops={"VAR_HANDLE": 1}))),
    ],
    "answered_in_part": [("answered-in-part", "info", lambda: in_part(40, 160))],
    "evaluation_failed": [("not-evaluated", "warning", answers.broken)],
    "too_few_launches": [
        ("too-few-launches", "serious", lambda: evidence(steady_launches(4))),
        ("too-few-launches", "serious", lambda: evidence(steady_launches(1))),
    ],
    "wide_interval": [
        ("wide-interval", "warning", lambda: evidence(steady_launches(7, between=0.13))),
    ],
    "drift": [
        ("drift", "warning", lambda: evidence(drifting())),
        ("throttled", "serious", lambda: conditions(thermal_status=2)),
    ],
    "clocks": [
        ("clock-limit", "serious", lambda: clocks(limit_khz=(1_800_000, 2_100_000))),
        ("clock-moved", "warning", lambda: clocks(frequency_khz=(1_800_000, 2_000_000))),
    ],
    "screen": [
        ("screen-on", "info", lambda: conditions(screen_on=True)),
        ("screen-on", "warning", lambda: clocks(screen_on=True)),
    ],
    "alike_neighbours": [
        ("alike-neighbours", "warning", lambda: evidence(changing_mood())),
    ],
    "two_modes": [("two-modes", "warning", lambda: evidence(two_speeds()))],
    "no_steady_state": [
        ("no-steady-state", "warning", lambda: evidence(warm_up(8))),
        ("steady-state-untested", "info", lambda: evidence(steady_launches(5))),
    ],
    "host_busy": [
        ("host-busy", "warning", lambda: conditions(other_cpu_share=0.3)),
        ("host-busy", "serious", lambda: conditions(other_cpu_share=0.8)),
        ("host-busy", "warning", lambda: conditions(other_cpu_share=None, load_average=8.0)),
        ("on-battery", "warning", lambda: conditions(on_battery=True)),
        ("low-battery", "warning", lambda: conditions(battery_percent=9)),
        ("variable-machine", "info", lambda: conditions(governor="powersave")),
        (
            "variable-machine",
            "info",
            lambda: evidence(
                steady_launches(7), device=device(extra={"virtual_machine": "yes", "smt": "1"})
            ),
        ),
    ],
    "slow_kernels": [
        ("slow-kernels", "warning", lambda: int8_on("tflite-runtime")),
        (
            "slow-kernels",
            "warning",
            lambda: evidence(
                steady_launches(7),
                case=Case(variant="m", device="host", runtime="tflite-runtime"),
                artifact=artifact(
                    inputs=(TensorInfo(name="x", shape=(1,), dtype="int8", scale=0.1),)
                ),
            ),
        ),
    ],
    "slow_instructions": [
        ("slow-instructions", "warning", lambda: counted(1.6, 0.14, 0.18)),
    ],
    "unsteady_instructions": [
        (
            "unsteady-instructions",
            "warning",
            lambda: evidence(with_fields(steady_launches(1), instructions=(100, 100, 101))),
        ),
        (
            "unsteady-instructions",
            "warning",
            lambda: evidence(
                (
                    launch(0, [], instructions=(100, 100)),
                    launch(1, [], instructions=(101, 101)),
                )
            ),
        ),
    ],
    "parity": [
        ("answers-differ-from-host", "serious", lambda: beside_the_host(0.53, 0.45)),
        ("answers-differ-from-host", "serious", lambda: beside_the_host(0.53, 0.45, 1 / 256)),
        ("answers-differ-from-host", "serious", lambda: beside_the_host(None, 0.45)),
        # In float32 a thousandth is no rounding.
        ("answers-differ-from-host", "serious", lambda: beside_the_host(0.451, 0.45)),
        ("compared-in-part", "info", lambda: beside_the_host(0.45, 0.45, values=1000)),
        (
            "not-compared-with-host",
            "warning",
            lambda: evidence(with_fields(steady_launches(7), absent={"reference": "it cannot"})),
        ),
    ],
    "clock_resolution": [
        (
            "clock-resolution",
            "warning",
            lambda: evidence(with_fields(steady_launches(7), clock_resolution_ns=MS // 10)),
        ),
        (
            "clock-resolution",
            "serious",
            lambda: evidence(with_fields(steady_launches(7), clock_resolution_ns=MS)),
        ),
    ],
    "memory_growth": [
        (
            "memory-growth",
            "warning",
            lambda: evidence(
                with_fields(steady_launches(7), rss_warm_bytes=50 << 20, rss_end_bytes=54 << 20)
            ),
        ),
        (
            "memory-growth",
            "serious",
            lambda: evidence(
                with_fields(steady_launches(7), rss_warm_bytes=50 << 20, rss_end_bytes=90 << 20)
            ),
        ),
    ],
    "bad_outputs": [
        ("outputs-not-finite", "invalid", lambda: evidence(outputs(finite=False))),
        ("outputs-constant", "serious", lambda: evidence(outputs(constant=True))),
        (
            "outputs-constant",
            "warning",
            lambda: evidence(outputs(constant=True), artifact=artifact(trained=False)),
        ),
        (
            "outputs-constant",
            "warning",
            lambda: evidence(
                outputs(constant=True, source="seeded random"),
                artifact=artifact(ops={"CONV_2D": 4, "TFLite_Detection_PostProcess": 1}),
            ),
        ),
        (
            "outputs-constant",
            "warning",
            lambda: evidence(
                outputs(constant=True, source="seeded random"),
                artifact=artifact(outputs=(TensorInfo(name="o", shape=(1, 1), dtype="uint8"),)),
            ),
        ),
        (
            "outputs-constant",
            "serious",
            lambda: evidence(
                outputs(constant=True, source="seeded random"),
                artifact=artifact(outputs=(TensorInfo(name="o", shape=(1, 9), dtype="uint8"),)),
            ),
        ),
    ],
    "text_outputs": [("text-output", "info", lambda: evidence(text_answers()))],
    "threads_ignored": [
        (
            "threads-ignored",
            "warning",
            lambda: evidence(
                steady_launches(7),
                case=Case(variant="m", device="phone", runtime="benchmark_model", threads=2),
                device=DeviceFacts(
                    name="phone",
                    kind="android",
                    identity="x",
                    runtimes={"benchmark_model": "2.2.0, B"},
                ),
            ),
        ),
    ],
    "partial_delegation": [
        ("partial-delegation", "warning", lambda: delegated(60, 66, "gpu")),
        ("partial-delegation", "serious", lambda: delegated(6, 66, "gpu")),
        ("partial-delegation", "info", lambda: delegated(60, 66, "cpu")),
        ("nothing-delegated", "invalid", lambda: delegated(0, 66, "npu")),
        (
            "delegation-unknown",
            "warning",
            lambda: evidence(
                steady_launches(7),
                case=Case(variant="m", device="phone", runtime="litert", delegate="gpu"),
            ),
        ),
    ],
    "untrained": [
        (
            "untrained",
            "info",
            lambda: evidence(steady_launches(7), artifact=artifact(trained=False)),
        ),
    ],
    "emulated_device": [
        (
            "emulated-device",
            "warning",
            lambda: evidence(steady_launches(7), device=device(emulated=True)),
        ),
    ],
}

# Evidence that no check may doubt beyond `info`, and none at all where nothing was timed.
QUIET_EVIDENCE: dict[str, Callable[[], Evidence]] = {
    "a quiet host": lambda: evidence(with_fields(steady_launches(7), before=QUIET, after=QUIET)),
    "many launches": lambda: evidence(steady_launches(30)),
    "a virtual machine": lambda: evidence(
        steady_launches(10), device=device(extra={"virtual_machine": "yes", "smt": "1"})
    ),
    "int8 on a runtime with kernels": lambda: int8_on("litert"),
    "all nodes delegated": lambda: delegated(66, 66, "gpu"),
    "a model that a GPU knows": lambda: on_gpu_with("RESHAPE", 66),
    "a phone that answers as the host": lambda: answered_there(SURE, SURE),
    "one image of a hundred decided otherwise": lambda: answered_there([0.1, *SURE[1:]], SURE),
    "images that the host is not sure of": lambda: answered_there(
        [0.49, 0.51] * 50, [0.51, 0.49] * 50
    ),
    "a cadence that is kept": lambda: in_step(100, 90, 95),
    "good answers": lambda: evidence(outputs()),
    "answers of a network of ours": lambda: evidence(
        steady_launches(7),
        artifact=artifact(model="scratch"),
        evaluation=answers.evaluation([0.9, 0.1] * 20, [1, 0] * 20),
    ),
    "as many instructions as its peers": lambda: counted(0.3, 0.14, 0.18),
    "many instructions, and a single peer": lambda: counted(1.6, 0.14),
    "so small that fixed costs dominate": lambda: counted(2.74, 0.14, 0.18, 0.26, macs=471_000),
    "rounds otherwise than the host": lambda: beside_the_host(0.4537812, 0.4537811),
    "two steps of quantization from the host": lambda: beside_the_host(0.53125, 0.5234375, 1 / 256),
    "memory that stays": lambda: evidence(
        with_fields(steady_launches(7), rss_warm_bytes=50 << 20, rss_end_bytes=50 << 20)
    ),
}

FAILED = Failure(stage="load", transient=False, message="no such op")

ODD_EVIDENCE: dict[str, Callable[[], Evidence]] = {
    "no launches": lambda: evidence(()),
    "failed before any launch": lambda: evidence((), failure=FAILED),
    "failed after some": lambda: evidence(steady_launches(3), failure=FAILED),
    "no metrics yet": lambda: evidence(steady_launches(7), metrics={}),
    "launches that timed nothing": lambda: evidence(with_fields(steady_launches(7), latency_ns=())),
    "only instructions": lambda: evidence(
        tuple(
            launch(
                i,
                [],
                init_ns=None,
                first_inference_ns=None,
                peak_rss_bytes=None,
                clock_resolution_ns=None,
                counters={"instructions": 63_468_657},
            )
            for i in range(2)
        ),
        device=device(kind="arm64-emulated", emulated=True, abi="arm64-v8a"),
    ),
    "a phone that says little": lambda: evidence(
        tuple(launch(i, [5 * MS], clock_resolution_ns=None, warmup_ns=()) for i in range(7)),
        device=device(
            kind="android", abi=None, cores=None, os=None, cpu=None, runtimes={}, extra={}
        ),
    ),
    "all iterations alike": lambda: evidence(
        tuple(launch(i, [5 * MS] * 10) for i in range(7)), plan=Plan(cases=(case(),), target_ci=0)
    ),
    "latencies of zero": lambda: evidence(tuple(launch(i, [0] * 10) for i in range(7))),
    "launches of unequal length": lambda: evidence(
        tuple(launch(i, [5 * MS] * (i + 1)) for i in range(8))
    ),
}

RECORDED = {
    **QUIET_EVIDENCE,
    **ODD_EVIDENCE,
    **{
        f"{check}, {code} {i}": made
        for check, lines in FIRES.items()
        for i, (code, _, made) in enumerate(lines)
    },
}

CHECKS = plugins.names("harness.analysis.checks")


def doubts(check: str, about: Evidence) -> list[Finding]:
    return list(plugins.load("harness.analysis.checks", check).findings(about))


def test_every_check_is_shown_to_fire() -> None:
    assert set(FIRES) == set(CHECKS)


def test_no_check_raises_and_findings_are_well_formed(subtests: pytest.Subtests) -> None:
    for name, made in RECORDED.items():
        with subtests.test(evidence=name):
            about = made()
            for check in CHECKS:
                for finding in doubts(check, about):
                    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", finding.code), check
                    assert finding.message and "\n" not in finding.message, check
                    assert "None" not in finding.message, check
                    assert "nan" not in finding.message, check
                    assert finding.fix or finding.level == "info", check


@pytest.mark.parametrize(
    ("check", "code", "level", "made"),
    [(check, *line) for check, lines in FIRES.items() for line in lines],
)
def test_a_check_raises_its_doubt(
    check: str, code: str, level: str, made: Callable[[], Evidence]
) -> None:
    assert (code, level) in [(f.code, f.level) for f in doubts(check, made())]


def test_good_evidence_is_not_doubted(subtests: pytest.Subtests) -> None:
    for name, made in QUIET_EVIDENCE.items():
        with subtests.test(evidence=name):
            about = made()
            for check in CHECKS:
                raised = [f.code for f in doubts(check, about) if f.level != "info"]
                assert raised == [], check


@pytest.mark.parametrize("name", ["no launches", "failed before any launch"])
def test_what_was_not_measured_is_not_doubted(name: str) -> None:
    about = ODD_EVIDENCE[name]()
    for check in CHECKS:
        assert doubts(check, about) == [], check


def test_many_instructions_are_told_without_claiming_why_and_with_a_fix_for_this_device() -> None:
    (doubt,) = doubts("slow_instructions", counted(1.6, 0.14, 0.18, 0.26))
    assert "8.9x the median 0.18 of the other int8 models" in doubt.message
    assert (
        "it may have operators without a fast kernel, or layers with few channels" in doubt.message
    )
    assert "--html" in doubt.fix and "--profile on a phone" in doubt.fix


def test_models_of_fixed_costs_do_not_tell_what_is_usual() -> None:
    about = counted(1.6, 0.14, 0.18)
    small = counted(2.74, macs=471_000)
    peers = (about.peers[0], small, small)
    assert doubts("slow_instructions", msgspec.structs.replace(about, peers=peers)) == []


def test_a_noisy_virtual_machine_is_not_suspect() -> None:
    """Two speeds, a spread of 13 % between launches, a busy neighbour now and then."""
    state = Conditions(load_average=1.5, other_cpu_share=0.2)
    noisy = evidence(
        with_fields(two_speeds(), before=state, after=state),
        device=device(cores=2, extra={"virtual_machine": "yes", "smt": "1"}),
    )
    for check in CHECKS:
        assert {f.level for f in doubts(check, noisy)} <= {"info", "warning"}, check


def test_messages_carry_the_numbers() -> None:
    told = {
        code: next(f.message for f in doubts(check, made()) if f.code == code)
        for check, lines in FIRES.items()
        for code, _, made in reversed(lines)
    }
    assert told["too-few-launches"] == "4 launches of the 5 that an interval needs"
    assert told["two-modes"].startswith("launches fall into two groups: 5.4")
    assert told["host-busy"] == (
        "other processes used 30 % of the processors (median over launches)"
    )
    assert told["no-steady-state"].startswith("the first 8 timed iterations are 2")
    assert told["memory-growth"] == (
        "memory grew by 4.00 MiB during the timed iterations, about 68.3 KiB per iteration"
    )
    assert told["partial-delegation"] == "the gpu delegate took 60 of 66 nodes (91 %)"
    assert told["clock-resolution"].endswith("but the clock ticks only every 100 µs")


def test_better_pixels_are_named_with_what_they_do() -> None:
    from harness.analysis.checks import assumed_pixels

    (found,) = assumed_pixels.findings(given_as("assumed", (20, 0, 0), (50, 30, 0), (21, 5, 4)))
    assert "0.400 with the assumed 0..255 and 1.000 with 0..1" in found.message
    assert found.fix == "name its range: --pixels 0..1"
    (found,) = assumed_pixels.findings(given_as("assumed", (45, 0, 0), (46, 3, 2)))
    assert "no other range is clearly better: 0..255 0.900, 0..1 0.920" in found.message
    for known in ("asked", "metadata", "layers", "quantization"):
        assert assumed_pixels.findings(given_as(known)) == []


def test_a_sure_model_may_answer_pictures_of_one_class_alike() -> None:
    from harness.analysis.checks import bad_outputs

    def found(scores: list[float], source: str = "d") -> list[Finding]:
        evaluation = answers.evaluation(scores, [0] * len(scores))
        launches = outputs(constant=True, source=source, examples=4)
        return bad_outputs.findings(evidence(launches, evaluation=evaluation))

    assert found([1.0] * 4 + [0.0]) == []
    for suspect in (found([1.0] * 5), found([1.0, 0.0] * 3), found([1.0] * 4 + [0.0], "noise")):
        assert [finding.code for finding in suspect] == ["outputs-constant"]


def test_an_input_that_holds_nearly_all_is_not_saturated() -> None:
    from harness.analysis.checks import saturated_input

    assert saturated_input.findings(saturated(0.04)) == []


def test_outputs_of_other_classes_are_told_of() -> None:
    from harness.analysis.checks import assumed_labels

    about = brought([0.9, 0.1] * 20)
    assert about.evaluation is not None
    labelled = msgspec.structs.replace(about.evaluation, scores_of="metadata", unused=998)
    (found,) = assumed_labels.findings(msgspec.structs.replace(about, evaluation=labelled))
    assert found.code == "unused-outputs"
    assert "its 998 other outputs were left out" in found.message
