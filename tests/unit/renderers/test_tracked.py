"""The files for services that keep a history: their schemas, names that stay, numbers that hold."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from msgspec.structs import replace

from harness.core.types import Report
from harness.renderers.view import View
from harness.system import plugins
from tests import reports
from tests.paths import DATA

TRACKED = ("bencher", "gha_benchmark")


def written(name: str, report: Report) -> Any:
    return json.loads(plugins.load("harness.renderers.formats", name).render(View(report)))


@pytest.mark.parametrize("name", TRACKED)
def test_every_report_keeps_the_readers_schema(name: str, subtests: pytest.Subtests) -> None:
    schema = json.loads((DATA / f"schemas/{name}.json").read_text("utf-8"))
    for which, make in reports.REPORTS.items():
        with subtests.test(report=which):
            jsonschema.Draft7Validator(schema).validate(written(name, make()))


def test_our_interval_is_benchers_lower_and_upper_value() -> None:
    report = reports.REPORTS["with_verdict"]()
    told = written("bencher", report)
    for case in report.cases:
        m = case.metrics["latency"]
        bounds = {"value": m.point, "lower_value": m.ci_low, "upper_value": m.ci_high}
        assert m.ci_low is not None
        assert told[case.case.id]["latency"] == bounds


def test_measures_are_slugs() -> None:
    told = written("bencher", reports.REPORTS["with_verdict"]())
    measures = {measure for case in told.values() for measure in case}
    assert "peak-rss" in measures
    assert all(measure.replace("-", "").isalnum() and len(measure) <= 64 for measure in measures)


def test_the_action_is_given_only_what_is_better_smaller() -> None:
    told = written("gha_benchmark", reports.REPORTS["with_verdict"]())
    assert {entry["unit"] for entry in told} <= {"ns", "bytes", "count"}
    metrics = {entry["name"].split()[-1] for entry in told}
    assert {"latency", "size", "peak_rss"} <= metrics
    assert not metrics & {"accuracy", "loss", "auc"}


def test_names_are_not_repeated(subtests: pytest.Subtests) -> None:
    for which, make in reports.REPORTS.items():
        with subtests.test(report=which):
            names = [entry["name"] for entry in written("gha_benchmark", make())]
            assert len(names) == len(set(names))


@pytest.mark.parametrize("name", TRACKED)
def test_a_case_has_the_same_name_whatever_else_was_measured(name: str) -> None:
    report = reports.REPORTS["evaluated"]()
    alone = replace(report, cases=report.cases[:1], verdict=None, comparison=None)
    case = report.cases[0].case.id
    for told in (written(name, report), written(name, alone)):
        names = told if name == "bencher" else {entry["name"].split()[0] for entry in told}
        assert case in names


@pytest.mark.parametrize("name", TRACKED)
def test_an_invalid_case_leaves_no_number_in_a_history(name: str) -> None:
    report = reports.REPORTS["with_verdict"]()
    spoilt = replace(report.cases[0], status="invalid")
    told = written(name, replace(report, cases=(spoilt, *report.cases[1:])))
    if name == "bencher":
        assert told[spoilt.case.id] == {}
    else:
        assert not any(entry["name"].startswith(f"{spoilt.case.id} ") for entry in told)
    assert told


def test_an_emulated_phone_is_told() -> None:
    told = written("gha_benchmark", reports.REPORTS["emulated"]())
    assert any("emulated" in entry["extra"] for entry in told)
