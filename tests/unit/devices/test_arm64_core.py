"""The emulated core's target and metrics. In place of qemu runs a script that answers as the
worker does and writes the marks that the plugin would."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from harness.analysis import gate, metric_specs
from harness.core.errors import GateError, UndecidedError, UsageError, WorkerError
from harness.core.specs import ArmSpec
from harness.core.types import (
    Artifact,
    Evidence,
    Launch,
    Measurement,
    Outputs,
    Plan,
    Report,
    Timing,
)
from harness.devices.arm64_core.environment import Arm64Env
from harness.devices.arm64_core.qemu import Qemu
from harness.devices.arm64_core.target import ABSENT, NOT_MEMORY, NOT_TIME, Arm64Target
from harness.project import config
from harness.renderers import comparison as comparison
from harness.renderers.view import View
from harness.results import report as assemble
from harness.results import store
from harness.system import plugins
from tests import emulated_core
from tests.fakes import artifact, case
from tests.paths import ROOT
from tests.strategies import case_report, device, evidence, report

TINY = ROOT / "tests/data/models/tiny_float32.tflite"
QEMU = Qemu("/usr/bin/qemu-aarch64", "7.2.22", ("cortex-a53", "cortex-a76", "max"))
LOCK = emulated_core.lock()

# Takes `iterations` counts from the list for runs of so many iterations, and keeps the requests.
EMULATOR = """
import json, sys
counts_file, plan = sys.argv[1], json.loads(sys.argv[2])
request = json.load(sys.stdin)
with open("requests", "a") as file:
    file.write(json.dumps(request) + chr(10))
counts = plan[str(request["min_iterations"])]
total, marks = 1000, []
for count in [500, 77, *counts]:
    marks += [total, total + count]
    total += count + 13
open(counts_file, "w").write("".join(f"{mark}" + chr(10) for mark in marks))
outputs = dict(values=[[0.5]], finite=True, constant=None, input_source="seeded")
result = dict(outputs=outputs if request["observe_outputs"] else None, init_ns=1, latency_ns=[1])
print(json.dumps({"result": result}))
"""


class FakeEnv(Arm64Env):
    """Starts EMULATOR where the real one starts qemu; `counts` are by number of iterations."""

    plan: dict[str, list[int]] = {}

    def python(
        self, cpu: str, arguments: Sequence[str | Path], *, counts: Path, folder: Path
    ) -> list[str]:
        pause = "import time; time.sleep(0.6)\n" if self.folder.name == "slow" else ""
        code = ["-c", pause + EMULATOR, str(counts), json.dumps(self.plan)]
        return ["env", "--chdir", str(folder), sys.executable, *code]


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    path = tmp_path / "inputs.npz"
    images = np.zeros((16, 1, 256, 256, 1), np.float32)
    np.savez(path, source="seeded", input_0=images)
    return path


MakeTarget = Callable[..., Arm64Target]


@pytest.fixture
def target(tmp_path: Path) -> Iterator[MakeTarget]:
    """Makes targets; `n2=[60, 61]` are the counts of a run of two iterations."""
    with contextlib.ExitStack() as closing:

        def make(cpu: str = "cortex-a76", **plan: list[int]) -> Arm64Target:
            env = FakeEnv(tmp_path, QEMU, LOCK)
            FakeEnv.plan = {name.removeprefix("n"): counts for name, counts in plan.items()}
            made = Arm64Target("arm64", ArmSpec(cpu=cpu), tmp_path, env)
            closing.callback(made.close)
            return made

        yield make


def launched(
    made: Arm64Target, inputs: Path, index: int = 1, timing: Timing | None = None
) -> Launch:
    about = tiny()
    made.prepare(about, inputs)
    return made.launch(case("tiny", "arm64"), about, timing or Timing(), index)


def tiny(**known: Any) -> Artifact:
    return artifact("tiny", path=str(TINY), **known)


# --- target ----------------------------------------------------------------------------------


def test_a_launch_counts_and_tells_no_time(target: MakeTarget, inputs: Path) -> None:
    launch = launched(target(n2=[60, 60]), inputs)
    assert launch.counters == {
        "instructions_init": 500,
        "instructions_first": 77,
        "instructions": 60,
    }
    assert launch.instructions == (60, 60)
    assert (launch.init_ns, launch.first_inference_ns, launch.latency_ns) == (None, None, ())
    assert launch.peak_rss_bytes is None
    assert launch.absent["latency_ns"] == NOT_TIME
    assert launch.absent["peak_rss_bytes"] == NOT_MEMORY


def test_iterations_that_differ_are_repeated_with_more(target: MakeTarget, inputs: Path) -> None:
    launch = launched(target(n2=[60, 61], n7=[60, 61, 60, 64, 60, 61, 61]), inputs)
    assert launch.instructions == (60, 61, 60, 64, 60, 61, 61)
    assert launch.counters["instructions"] == 61


def test_as_many_iterations_as_were_asked_for(target: MakeTarget, inputs: Path) -> None:
    timing = Timing(min_time_ns=0, min_iterations=3, max_iterations=3)
    assert launched(target(n3=[60, 61, 62]), inputs, timing=timing).instructions == (
        60,
        61,
        62,
    )


def test_marks_that_are_missing_are_not_a_count(target: MakeTarget, inputs: Path) -> None:
    with pytest.raises(WorkerError, match="6 marks were counted where 8 were made"):
        launched(target(n2=[60]), inputs)


def test_the_first_round_brings_the_answers_of_both_sides(target: MakeTarget, inputs: Path) -> None:
    launch = launched(target(n2=[60, 60]), inputs, index=0)
    assert launch.outputs is not None and launch.reference is not None
    assert len(launch.reference.values) == 8
    assert launch.reference.input_source == "seeded"


def test_a_host_that_cannot_answer_is_a_reason_and_no_failure(
    target: MakeTarget, inputs: Path
) -> None:
    made, about = target(n2=[60, 60]), artifact("gone")
    made.prepare(about, inputs)
    launch = made.launch(case("gone", "arm64"), about, Timing(), 0)
    assert launch.reference is None
    assert "the host could not answer" in launch.absent["reference"]


def test_a_large_model_may_take_longer(target: MakeTarget, inputs: Path) -> None:
    """vgg16 takes a quarter of an hour on a machine of its own, and twice that on a busy one."""
    made = target()
    made.spec = msgspec.structs.replace(made.spec, launch_timeout_s=0.3)
    FakeEnv.plan = {"2": [60, 60]}
    about = tiny(macs=1)
    made.prepare(about, inputs)
    made.env = dataclasses.replace(made.env, folder=made.env.folder / "slow")
    with pytest.raises(WorkerError, match="was ended"):
        made.launch(case("tiny", "arm64"), about, Timing(), 1)
    large = tiny(macs=50_000_000)
    assert made.launch(case("tiny", "arm64"), large, Timing(), 1).instructions == (60, 60)


def test_a_large_model_answers_fewer_examples(target: MakeTarget, inputs: Path) -> None:
    made = target()
    for macs, examples in ((None, 8), (1_000_000, 8), (200_000_000, 4), (20_000_000_000, 1)):
        about = tiny(sha256=f"{macs}", macs=macs)
        made.prepare(about, inputs)
        with np.load(made._folders[about.sha256] / "inputs.npz") as archive:
            assert len(archive["input_0"]) == examples
            assert str(archive["source"]) == "seeded"


@pytest.mark.parametrize(
    "field", [{"threads": 2}, {"runtime": "tflite-runtime"}, {"delegate": "gpu"}]
)
def test_what_one_core_cannot_do_is_refused(
    target: MakeTarget, inputs: Path, field: dict[str, Any]
) -> None:
    made = target()
    made.prepare(tiny(), inputs)
    asked = msgspec.structs.replace(case("tiny", "arm64"), **field)
    with pytest.raises(UsageError, match="one core that runs litert"):
        made.launch(asked, tiny(), Timing(), 0)


def test_closing_removes_what_launches_ran_in(target: MakeTarget, inputs: Path) -> None:
    made = target()
    made.prepare(tiny(), inputs)
    folder = made._folders[tiny().sha256]
    assert folder.exists()
    made.close()
    assert not folder.exists()


def test_a_core_is_the_same_under_every_qemu_but_max_is_not(target: MakeTarget) -> None:
    named = target().facts()
    assert (named.identity, named.emulated, named.cores) == ("cortex-a76, emulated", True, 1)
    assert "7.2.22" in named.extra["qemu"]
    assert target(cpu="max").facts().identity == "max, emulated by qemu 7.2"


# --- metrics ---------------------------------------------------------------------------------


def counted(count: int, init: int = 1_000_000, **known: Any) -> Launch:
    fields: dict[str, Any] = {
        "case": "m",
        "index": 0,
        "order": 0,
        "started_at": "2026-11-23T00:00:00Z",
        "wall_ns": 1,
        "counters": {
            "instructions": count,
            "instructions_init": init,
            "instructions_first": count + 1_200,
        },
        "instructions": (count, count),
        "absent": {"latency_ns": NOT_TIME, "peak_rss_bytes": NOT_MEMORY},
    }
    return Launch(**{**fields, **known})


def metric(name: str, about: Evidence) -> Measurement:
    return metric_specs.metrics()[name].extract(about)


def test_counts_are_points_without_an_interval() -> None:
    about = evidence([counted(63_468_657)])
    assert metric("instructions", about).point == 63_468_657
    assert metric("instructions_first", about).point == 63_469_857
    assert metric("instructions_init", about).point == 1_000_000
    assert metric("instructions", about).ci_low is None


def test_a_count_is_one_that_was_counted() -> None:
    about = evidence([counted(60), counted(61), counted(64), counted(65)])
    assert metric("instructions", about).point == 61


def test_instructions_per_mac_needs_the_macs() -> None:
    launches = [counted(60_000)]
    known = evidence(launches, artifact=artifact("m", macs=400_000))
    assert metric("instructions_per_mac", known).point == 0.15
    unknown = metric("instructions_per_mac", evidence(launches))
    assert (unknown.point, unknown.absent_because) == (
        None,
        "the graph's multiply-accumulates are not known",
    )


@pytest.mark.parametrize(
    "name",
    [
        *(name for name, spec in metric_specs.specs().items() if spec.unit == "ns"),
        *("peak_rss", "rss_anon", "rss_file"),
    ],
)
def test_times_and_memory_are_absent_with_the_reason(name: str) -> None:
    measured = metric(name, evidence([counted(60, absent=ABSENT)]))
    assert measured.point is None
    assert "emulated" in (measured.absent_because or "")


@pytest.mark.parametrize(
    "name", ["instructions", "instructions_init", "instructions_first", "instructions_per_mac"]
)
def test_other_devices_have_no_counts(name: str) -> None:
    about = evidence([counted(60, counters={}, instructions=())])
    assert "emulated core" in (metric(name, about).absent_because or "")


def test_peers_are_the_other_cases_of_the_same_device() -> None:
    cases = [case("a", "arm64"), case("b", "arm64"), case("a", "host"), case("c", "arm64")]
    found = [msgspec.structs.replace(evidence([]), case=c) for c in cases]
    peers = assemble._peers(found[0], found)
    assert [peer.case.id for peer in peers] == [cases[1].id, cases[3].id]


# --- gate ------------------------------------------------------------------------------------


CORE = "cortex-a76, emulated"


def run_of(name: str, launches: dict[str, Launch], identity: str = CORE) -> Report:
    """A saved run of variants on the emulated core."""
    metrics = {
        variant: metric_specs.extract(evidence([launch], artifact=artifact(variant, macs=10)))
        for variant, launch in launches.items()
    }
    cases = tuple(
        case_report([launch], variant=variant, device="arm64", metrics=metrics[variant])
        for variant, launch in launches.items()
    )
    plan = Plan(cases=tuple(c.case for c in cases), exact_devices=("arm64",))
    facts = device(name="arm64", identity=identity, emulated=True)
    return report(name, *cases, devices=(facts,), plan=plan)


def judged(
    before: dict[str, Launch], after: dict[str, Launch], identity: str = CORE, **gated: Any
) -> Report:
    """The second run beside the first."""
    share = gated.pop("max_regression", None)
    return gate.compared(run_of("b", after, identity), run_of("a", before), share)


def outcomes(before: Launch, after: Launch, **gated: Any) -> dict[str, str]:
    comparison = judged({"m": before}, {"m": after}, **gated).comparison
    assert comparison is not None
    return {m.metric: m.outcome for c in comparison.cases for m in c.metrics}


def test_one_launch_decides_at_one_thousandth() -> None:
    assert outcomes(counted(1_000_000), counted(1_000_999))["instructions"] == "no change"
    assert outcomes(counted(1_000_000), counted(1_001_001))["instructions"] == "regression"
    assert outcomes(counted(1_000_000), counted(990_000))["instructions"] == "improvement"


def test_a_threshold_that_is_given_is_that_of_instructions_too() -> None:
    more = counted(1_000_000), counted(1_010_000)
    assert outcomes(*more)["instructions"] == "regression"
    assert outcomes(*more, max_regression=0.02)["instructions"] == "no change"
    assert outcomes(*more, max_regression=0.005)["instructions"] == "regression"


def test_the_thresholds_that_were_applied_are_told() -> None:
    told = judged({"m": counted(1_000_000)}, {"m": counted(1_010_000)}).comparison
    assert told is not None
    known = {m.metric: m.threshold for c in told.cases for m in c.metrics}
    assert (known["instructions"], known["instructions_init"]) == (0.001, 0.01)
    assert "0.10 % for instructions" in comparison.summary(told)
    given = judged({"m": counted(100)}, {"m": counted(101)}, max_regression=0.2).comparison
    assert given is not None
    assert comparison.summary(given).endswith("against a (20 % allowed)")


@pytest.mark.parametrize(("after", "code"), [(1_000_000, 0), (1_002_000, 1), (998_000, 0)])
def test_the_gate_says_no_to_more_and_by_default_not_to_less(after: int, code: int) -> None:
    told = judged({"m": counted(1_000_000)}, {"m": counted(after)})
    assert gate.exit_code(told, strict=True) == code


@pytest.mark.parametrize("after", [1_002_000, 998_000])
def test_a_baseline_that_is_stale_is_to_be_renewed(after: int) -> None:
    told = judged({"m": counted(1_000_000)}, {"m": counted(after)})
    with pytest.raises(
        GateError, match=r"instructions.* of m are not.*; if the change is intended: renew"
    ):
        gate.exit_code(told, strict=True, renew="renew")
    same = judged({"m": counted(1_000_000)}, {"m": counted(1_000_001)})
    assert gate.exit_code(same, strict=True, renew="renew") == 0


def test_a_gate_that_compared_no_counts_is_not_green() -> None:
    both = {"m": counted(1_000_000)}, {"m": counted(2_000_000)}
    other_core = judged(*both, identity="cortex-a53, emulated")
    assert "instructions" not in {m.metric for m in other_core.comparison.cases[0].metrics}  # type: ignore[union-attr]
    with pytest.raises(UsageError, match=r"a counted case could not be.*cortex-a76.*cortex-a53"):
        gate.exit_code(other_core, strict=False)

    lost = counted(1, counters={"instructions_init": 1_000_000}, instructions=())
    with pytest.raises(UsageError, match="instructions was not compared: the candidate has none"):
        gate.exit_code(judged({"m": counted(1_000_000)}, {"m": lost}), strict=False)


@pytest.mark.parametrize("swapped", [False, True])
def test_a_case_without_a_partner_is_undecided(swapped: bool) -> None:
    sides = {"m": counted(10), "n": counted(20)}, {"m": counted(10)}
    told = judged(*(reversed(sides) if swapped else sides))
    assert gate.exit_code(told, strict=False) == 0
    with pytest.raises(UndecidedError, match="do not have the same cases: n") as error:
        gate.exit_code(told, strict=True)
    assert error.value.exit_code == 4


def test_what_is_kept_as_a_baseline_holds_no_machine_and_is_compared_in_silence() -> None:
    made = msgspec.structs.replace(
        run_of("a", {"m": counted(10)}),
        host={"system": "a machine"},
        command=("python", "/home/x"),
        project="/home/x",
    )
    data = plugins.load("harness.renderers.formats", "as_baseline").render(View(made))
    assert b"/home/x" not in data and b"a machine" not in data
    kept = msgspec.json.decode(data, type=Report)
    told = gate.compared(made, kept, None)
    assert gate.exit_code(told, strict=True, renew="renew") == 0
    assert told.comparison is not None
    assert {f.code for f in told.comparison.findings} == set()


def test_instructions_per_mac_and_parity_are_not_judged() -> None:
    def answering(value: float) -> Launch:
        ours, theirs = (
            Outputs(values=((v,),), finite=True, constant=None, input_source="seeded")
            for v in (value, 0.1)
        )
        return counted(round(value * 1_000_000), outputs=ours, reference=theirs)

    changed = outcomes(answering(0.1001), answering(0.102))
    assert changed["instructions"] == "regression"
    assert not {"instructions_per_mac", "parity_difference"} & set(changed)


# A launch of these takes minutes under emulation; they are counted on request.
OVER_A_MINUTE = {"vgg16", "vgg16-gap"}
# Untrained, where no cut is chosen and nothing is tuned, these are lite0 in grey over again.
SAME_AS_ANOTHER = {"lite0-cut-gray", "lite0-cut-gray-int8", "lite0-tuned-gray-int8"}


def test_what_ci_counts_is_every_variant_that_takes_under_a_minute() -> None:
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    listed = re.findall(r"^COUNTED := (.+)$", makefile, re.M)[0].split()
    baseline = store.read_report(ROOT / "reports/baselines/arm64.json")
    variants = config.load_project(ROOT).variants.variants
    assert len(listed) == len(set(listed))
    assert set(listed) == {case.variant for case in baseline.cases}
    assert set(listed) == set(variants) - OVER_A_MINUTE - SAME_AS_ANOTHER
    assert all(case.metrics["instructions"].point for case in baseline.cases)
    assert re.search(r"\bmake arm64$", (ROOT / ".ci/run").read_text(), re.M)


def test_the_committed_baseline_says_nothing_of_where_it_was_made() -> None:
    baseline = store.read_report(ROOT / "reports/baselines/arm64.json")
    assert (baseline.host, baseline.command, baseline.project) == ({}, (), None)
    assert not any("/" in a.path for a in baseline.artifacts)
