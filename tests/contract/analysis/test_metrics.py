"""What holds for every metric of every family, however little was observed."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from msgspec.structs import replace

from harness.analysis import metric_specs
from harness.core.choices import Prefer
from harness.core.estimates import QUANTITIES
from harness.core.types import Evidence, Launch, Measurement
from harness.stats.summaries import launch_median, observed
from harness.system import plugins
from tests import reports, strategies

METRICS = metric_specs.metrics()
LAUNCH_FIELDS = {*Launch.__struct_fields__}


def test_every_family_is_found_by_its_file_name() -> None:
    folder = Path(plugins.__file__).parents[1] / "analysis" / "metrics"
    files = {path.stem for path in folder.glob("[!_]*.py")}
    assert {*plugins.names(metric_specs.FAMILIES)} == files
    for family in files:
        assert plugins.load(metric_specs.FAMILIES, family).METRICS, family


def test_the_names_are_a_contract() -> None:
    """Budgets, columns and the keys of the JSON: extend this list, never shorten it."""
    assert METRICS.keys() >= {
        *("size", "gzip_size", "sparsity", "init", "first_inference"),
        *("latency", "latency_mean", "latency_p90", "latency_p95", "latency_p99"),
        *("energy", "energy_rails", "app_over_shell"),
        *("latency_start", "latency_end", "peak_rss", "rss_anon", "rss_file", "pss", "arena"),
        *("accuracy", "balanced_accuracy", "auc", "log_loss", "calibration_error"),
        *("agreement", "agreement_largest", "agreement_mean"),
        *("instructions", "instructions_per_mac", "instructions_init", "instructions_first"),
        *("parity_decisions", "parity_difference"),
    }


@pytest.mark.parametrize("name", METRICS)
def test_a_spec_says_what_the_rest_of_the_harness_needs(name: str) -> None:
    spec = METRICS[name].spec
    assert spec.name == name
    assert spec.unit in QUANTITIES
    assert spec.title
    assert spec.unit == "bytes" or not spec.file_size
    assert spec.raw == "counters" or spec.raw in {"", *LAUNCH_FIELDS}
    assert not spec.statistic or spec.statistic in Measurement.__struct_fields__
    assert spec.max_regression is None or spec.exact
    standing_for = spec.cost.instead_of if spec.cost else ""
    assert not standing_for or METRICS[standing_for].spec.cost is not None
    places = [s.place for s in metric_specs.specs().values()]
    assert places.count(spec.place) == 1, "two columns at one place"


def test_every_cost_that_can_be_preferred_is_a_metric() -> None:
    kinds = {m.spec.cost.kind for m in METRICS.values() if m.spec.cost}
    assert {"balanced", *kinds} == {*get_args(Prefer)}


@pytest.mark.parametrize("name", METRICS)
def test_without_observations_a_metric_is_absent_and_says_why(name: str) -> None:
    nothing = strategies.evidence([])
    measured = METRICS[name].extract(nothing)
    if measured.point is None:
        assert measured.absent_because
    else:
        assert METRICS[name].spec.raw == ""  # of the file, which is known without a launch
    assert measured.unit == METRICS[name].spec.unit


@pytest.mark.parametrize("name", METRICS)
def test_a_launch_says_of_a_metric_what_the_metric_says_of_that_launch(name: str) -> None:
    metric = METRICS[name]
    launch = reports.normal().cases[0].launches[0]
    launch = replace(launch, counters={name: 12345}, pss_bytes=7_000_000, arena_bytes=600_000)
    launch = replace(launch, init_cached_ns=4_000_000, first_inference_cached_ns=6_000_000)
    about: Evidence = strategies.evidence([launch])
    value = observed(launch, metric.spec)
    if metric.spec.raw:
        assert value is not None
        assert metric.extract(about).point == value
    else:
        assert value is None


def test_a_launch_with_a_summary_says_its_latency_too() -> None:
    launch = reports.summarized().cases[0].launches[0]
    assert not launch.latency_ns
    assert observed(launch, metric_specs.specs()["latency"]) == launch_median(launch)


def test_a_metric_that_only_a_report_knows_is_shown_by_its_unit() -> None:
    assert metric_specs.shown("size", 11_500_000, "bytes") == "11.5 MB"
    assert metric_specs.shown("peak_rss", 2**20, "bytes") == "1.00 MiB"
    assert metric_specs.shown("of_tomorrow", 2**20, "bytes") == "1.00 MiB"
    assert metric_specs.shown("of_tomorrow", 1_234, "watts") == "1,234"
    assert metric_specs.title("of_tomorrow") == "of tomorrow"
