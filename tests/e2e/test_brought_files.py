"""Files that a user brings, as `bench` meets them: one run over good ones and a bad one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from harness.core.types import Report
from harness.results import store
from tests import command_line
from tests.paths import DATA, ROOT

CASES = DATA / "cases"

SHORT = ("--untrained", "--launches", "1", "--iterations", "3")


class Ran(NamedTuple):
    status: int
    stdout: str
    stderr: str
    report: Report


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Ran:
    """All of them in one run."""
    out = tmp_path_factory.mktemp("runs")
    kinds = ("*.keras", "*.tflite")
    given = [str(path) for kind in kinds for path in sorted(CASES.glob(kind))]
    whole = (DATA / "models" / "tiny_int8.tflite").read_bytes()
    damaged = tmp_path_factory.mktemp("given") / "damaged.tflite"
    damaged.write_bytes(whole[:1000])
    given.append(str(damaged))
    cache = {"MOBILE_BENCH_CACHE": str(shared_cache)}
    done = command_line.run("bench", *given, "--out", out, *SHORT, cwd=ROOT, env=cache)
    return Ran(
        done.returncode, done.stdout, done.stderr, store.read_report(store.find("latest", out))
    )


def case_of(ran: Ran, variant: str) -> Any:
    return next(c for c in ran.report.cases if c.case.variant == variant)


def test_a_file_that_cannot_be_converted_costs_the_others_nothing(ran: Ran) -> None:
    """one_bad_keras_aborts: nothing was measured where one file was bad."""
    damaged, found = (f for f in ran.report.findings if f.code == "build-failed")
    assert "damaged cannot be measured: " in damaged.message
    assert "damaged.tflite is damaged: it ends too early" in damaged.message
    assert "custom_layer could not be built" in found.message
    assert "it needs the class 'Scale', which Keras does not have" in found.message
    assert ran.status == 3
    assert "Traceback" not in ran.stderr
    assert {a.variant for a in ran.report.artifacts} == {
        *("sequential", "multi_output_dict", "nested", "where_dynamic_out", "string_output"),
    }


@pytest.mark.parametrize(
    "variant",
    ["sequential", "multi_output_dict", "nested", "where_dynamic_out", "string_output"],
)
def test_it_runs_and_keeps_its_latency(ran: Ran, variant: str) -> None:
    case = case_of(ran, variant)
    assert case.failure is None
    assert case.metrics["latency"].point > 0


def test_outputs_of_a_dictionary_have_its_keys(ran: Ran) -> None:
    artifact = next(a for a in ran.report.artifacts if a.variant == "multi_output_dict")
    assert len(artifact.outputs) > 1
    assert len({output.name for output in artifact.outputs}) == len(artifact.outputs)


def test_text_is_told_and_an_output_without_elements_is_an_answer(ran: Ran) -> None:
    codes = {f.code for f in case_of(ran, "string_output").findings}
    assert "text-output" in codes
    for variant in ("string_output", "where_dynamic_out"):
        assert not {f.code for f in case_of(ran, variant).findings} & {
            "outputs-constant",
            "outputs-not-finite",
        }
