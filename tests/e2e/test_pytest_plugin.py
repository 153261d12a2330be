"""The pytest plugin, in test runs of its own: what a user of pytest sees."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from harness.results import store
from tests.paths import DATA

pytest_plugins = ["pytester"]
TINY, TINY_INT8 = DATA / "models/tiny_float32.tflite", DATA / "models/tiny_int8.tflite"
# An installed harness brings the plugin along; a checkout beside it does not.
INSTALLED = importlib.metadata.entry_points(group="pytest11", name="mobile_bench")
PLUGIN = () if INSTALLED else ("-p", "harness.pytest_plugin")


@pytest.fixture(autouse=True)
def _what_was_imported_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pytester undoes the imports of a test, and the next test imports again. The compiled parts of
    PyYAML and cryptography keep the classes of the first import and refuse those of a second."""
    monkeypatch.setattr("_pytest.pytester.SysModulesSnapshot.restore", lambda self: None)


def run(pytester: pytest.Pytester, source: str, *words: str) -> pytest.RunResult:
    pytester.makepyfile(f"import pytest\nA, B = {str(TINY)!r}, {str(TINY_INT8)!r}\n{source}")
    pytester.makefile(".yaml", devices="devices:\n  host: {kind: host}\n  usb: {kind: android}\n")
    (pytester.path / "models").mkdir()
    (pytester.path / "models/variants.yaml").write_text("variants: {}\n")
    return pytester.runpytest(*PLUGIN, "-p", "no:cacheprovider", "-ra", "--bench-quick", *words)


def test_models_of_several_tests_are_measured_in_one_session(pytester: pytest.Pytester) -> None:
    done = run(
        pytester,
        f"""
        def test_kept(bench):
            bench({str(TINY)!r}).assert_budget("latency_p95<=10s,size<=3MB")

        @pytest.mark.parametrize("model", [A, B])
        def test_missed(bench, model):
            bench(model).assert_budget("size<=1kB")

        def test_mistyped(bench):
            bench(A)
            bench({str(TINY_INT8)!r}).assert_budget("latncy<=1s")
        """.replace("\n        ", "\n"),
        "--bench-report=kept/r.json",
        "--junitxml=j.xml",
    )
    done.assert_outcomes(passed=1, failed=3)
    (folder,) = (pytester.path / "reports").glob("[0-9]*")
    report = store.read_report(pytester.path / "kept/r.json")
    assert {case.variant for case in report.cases} == {"tiny_float32", "tiny_int8"}
    assert report.run_id == folder.name
    done.stdout.fnmatch_lines(
        [
            "E       AssertionError: tiny_float32 does not keep its budget",
            "E         tiny_float32@host/litert/cpu/t1: size<=1kB is missed: 3.88 kB",
            "*unknown metric 'latncy'; did you mean 'latency'*",
            f"run {report.run_id}: 2 cases",
            "report: kept/r.json",
        ]
    )
    assert "harness/" not in done.stdout.str(), "a traceback shows the harness"
    assert report.run_id in (pytester.path / "j.xml").read_text()


def test_without_a_phone_a_test_for_phones_is_skipped_with_the_reason(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "1")
    done = run(
        pytester,
        """
@pytest.mark.phone
def test_any(bench):
    raise AssertionError

@pytest.mark.phone("nope")
def test_named(bench):
    raise AssertionError
""",
        *("--strict-markers", "-p", "no:xdist"),
    )
    done.assert_outcomes(skipped=2)
    done.stdout.fnmatch_lines(["SKIPPED * usb: *", "SKIPPED * nope is not a phone of devices.yaml"])


def test_a_missing_model_fails_only_the_test_that_names_it(pytester: pytest.Pytester) -> None:
    done = run(
        pytester,
        """
def test_other():
    pass

def test_missing(bench):
    bench("missing.tflite").assert_budget("size<=1kB")
""",
    )
    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(["missing.tflite does not exist; give a .tflite file *"])
    assert "During handling" not in done.stdout.str()


def test_a_mistake_in_an_option_is_told_before_any_test(pytester: pytest.Pytester) -> None:
    done = run(pytester, "def test_x(bench): pass", "--bench-report=r.pdf")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["ERROR: --bench-report r.pdf: name a file that ends in .json, *"])


def test_parallel_measuring_is_refused(pytester: pytest.Pytester) -> None:
    done = run(pytester, "def test_x(bench): bench(A)", "-n", "1", "--dist", "load")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*would disturb each other; add --dist loadgroup*"])


def test_a_run_that_measures_nothing_imports_nothing_of_the_harness(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        "import sys\n"
        "def test_x():\n"
        "    found = {m for m in sys.modules if m.startswith('harness.')}\n"
        "    assert found == {'harness.pytest_plugin'}\n"
    )
    pytester.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=1)


def test_the_plugin_is_part_of_the_distribution() -> None:
    text = Path(__file__).parents[2].joinpath("pyproject.toml").read_text("utf-8")
    assert 'mobile_bench = "harness.pytest_plugin"' in text
