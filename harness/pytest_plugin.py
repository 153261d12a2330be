"""The pytest plugin: the fixture `bench`, which measures models in a test.

    def test_size(bench):
        bench("model.tflite").assert_budget("latency_p95<=50ms,size<=3MB")

What the tests of a run name is measured in one session, before the first of them needs a number, so
that launches of all models are interleaved. Nothing of the harness is imported until then.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from harness.api import BenchOptions, LoadedReport
    from harness.core.types import CaseReport
    from harness.devices import Probe

_MARK = "phone"
_FORMATS = {".json": "json", ".html": "html", ".md": "markdown", ".xml": "junit", ".csv": "csv"}
_SESSION = pytest.StashKey["Session"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the tests of this run measure, and what is kept."""
    group = parser.getgroup("mobile-bench", "models measured by the fixture `bench`")
    group.addoption(
        "--bench-device",
        metavar="NAME[,NAME]",
        help="entries of devices.yaml to measure on (default: host)",
    )
    group.addoption("--bench-quick", action="store_true", help="five short launches: a first look")
    group.addoption(
        "--bench-report",
        action="append",
        default=[],
        metavar="FILE",
        help="keep the report, in the format of the file's ending: " + ", ".join(_FORMATS),
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; find mistakes in the options before any test runs."""
    config.addinivalue_line(
        "markers",
        f"{_MARK}(NAME, ...): measure on phones of devices.yaml (default: every one of them); "
        "skipped where none of them is ready",
    )
    for file in config.getoption("--bench-report"):
        if Path(file).suffix not in _FORMATS:
            known = ", ".join(_FORMATS)
            raise pytest.UsageError(f"--bench-report {file}: name a file that ends in {known}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that measure run in one process of pytest-xdist, with `--dist loadgroup`."""
    if config.pluginmanager.hasplugin("xdist"):
        for item in _measuring(items):
            item.add_marker(pytest.mark.xdist_group("mobile-bench"))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Remember what the chosen tests name."""
    named = {model: None for item in _measuring(session.items) for model in _named(item)}
    phones = [mark.args for item in session.items for mark in item.iter_markers(_MARK)]
    session.config.stash[_SESSION] = Session(session.config, list(named), phones)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that is marked for phones where none of them is ready."""
    for mark in item.iter_markers(_MARK):
        ready, why = item.config.stash[_SESSION].ready_phones(mark.args)
        if not ready:
            item.add_marker(pytest.mark.skip(reason=why))  # reported with the place of the test


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Where the reports are, and which budgets are undecided."""
    lines = config.stash[_SESSION].summary() if _SESSION in config.stash else []
    if lines:
        terminalreporter.section("mobile-bench")
        for line in lines:
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def bench_options() -> BenchOptions:
    """Options of `harness.bench` for this test run; override it in your conftest.py."""
    return {}


@pytest.fixture
def bench(request: pytest.FixtureRequest, bench_options: BenchOptions) -> Asker:
    """Measures models: `bench("model.tflite")` is a `Measured`."""
    config = request.config
    if hasattr(config, "workerinput") and not getattr(config.option, "loadgroup", False):
        pytest.fail(
            "tests that measure at the same time would disturb each other; add --dist loadgroup",
            pytrace=False,
        )
    return Asker(config.stash[_SESSION], bench_options, request.node)


class Measured:
    """The cases of one model, and the report that they are in."""

    def __init__(self, report: LoadedReport, cases: Sequence[CaseReport], session: Session) -> None:
        self.report, self.cases, self._session = report, cases, session

    def assert_budget(self, budget: str, *, strict: bool = False) -> None:
        """Fail unless every case keeps the budget, such as "latency_p95<=50ms,size<=3MB". A budget
        inside the interval is undecided: that is reported at the end of the test run, and fails too
        with `strict`."""
        __tracebackhide__ = True
        from harness.analysis import budget as budgets
        from harness.analysis.metric_specs import specs
        from harness.core import units
        from harness.core.errors import HarnessError

        try:
            limits = budgets.parse_budget(budget, specs())
        except HarnessError as error:
            _fail(error)
        said, missed = [], False
        for case in self.cases:
            for limit in limits:
                m = case.metrics.get(limit.spec.name)
                outcome = budgets.outcome(limit, m)
                value = units.with_interval(m, limit.spec.quantity)
                shown = budgets.unknown(limit, m) or value
                line = f"{case.case.id}: {limit.text} is {outcome}: {shown}"
                said.append(f"  {line}")
                missed = missed or outcome == "missed" or (strict and outcome == "undecided")
                if outcome == "undecided":
                    self._session.undecided.append(line)
        if missed:
            head = f"{self.cases[0].variant} does not keep its budget"
            raise AssertionError("\n".join([head, *said, f"run {self.report.run_id}"]))


class Asker:
    """What the fixture `bench` gives to one test."""

    def __init__(self, session: Session, options: BenchOptions, item: pytest.Item) -> None:
        self._session, self._options, self._item = session, options, item

    def __call__(self, model: str | Path) -> Measured:
        """Measure a file, or a variant of models/variants.yaml. The test fails if it cannot be
        measured."""
        __tracebackhide__ = True
        from harness.core.errors import HarnessError

        devices: list[str] | None = None
        for mark in self._item.iter_markers(_MARK):
            devices, _ = self._session.ready_phones(mark.args)
        try:
            report = self._session.report_of(str(model), self._options)
        except HarnessError as error:
            _fail(error)
        cases = _cases_of(report, str(model), devices or self._session.devices(self._options))
        if not cases:
            _fail(f"{model} was not measured on the devices of this test")
        self._item.user_properties.append(("mobile-bench run", report.run_id))
        for case in cases:
            _refuse_unusable(case)
        return Measured(report, cases, self._session)


class Session:
    """What one run of pytest has measured. `named` are the models that its tests name."""

    def __init__(
        self, config: pytest.Config, named: list[str], phones: list[tuple[str, ...]]
    ) -> None:
        self._config, self._named, self._marked = config, named, phones
        self._kept: list[str] = config.getoption("--bench-report")
        self._written: list[Path] = []
        self._probed: list[Probe] | None = None
        self._reports: list[LoadedReport] = []
        self._by_model: dict[str, LoadedReport] = {}
        self.undecided: list[str] = []

    def devices(self, options: BenchOptions) -> list[str]:
        """Where a test measures that is not marked for phones."""
        asked = self._config.getoption("--bench-device")
        return asked.split(",") if asked else list(options.get("devices", ["host"]))

    def report_of(self, model: str, options: BenchOptions) -> LoadedReport:
        """The report with this model: measured with all that the tests name, or alone if none of
        them names it in a way that can be read from the source."""
        from harness.core.errors import HarnessError

        if model not in self._by_model:
            together = self._named if model in self._named else [model]
            try:
                self._by_model |= dict.fromkeys(together, self._measure(together, options))
            except HarnessError:
                if len(together) == 1:
                    raise
                # Perhaps a file that is missing; only the test that names it should fail.
                self._by_model[model] = self._measure([model], options)
        return self._by_model[model]

    def _measure(self, models: list[str], options: BenchOptions) -> LoadedReport:
        import harness

        renderers = [(Path(file), _renderer(file)) for file in self._kept]
        phones = [name for names in self._marked for name in self.ready_phones(names)[0]]
        devices = self.devices(options)
        chosen: dict[str, Any] = {**options, "devices": list(dict.fromkeys([*devices, *phones]))}
        chosen.setdefault("untrained", "data" not in options)
        if self._config.getoption("--bench-quick"):
            chosen["quick"] = True
        report = harness.bench(*models, **chosen)
        self._reports.append(report)
        for path, renderer in renderers:
            self._keep(report, path, renderer)
        return report

    def _keep(self, report: LoadedReport, path: Path, renderer: Any) -> None:
        from harness.renderers.view import View
        from harness.system import files

        if len(self._reports) > 1:
            # What was measured alone has a report of its own.
            path = path.with_stem(f"{path.stem}-{len(self._reports)}")
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomic(path, renderer.render(View(report)))
        self._written.append(path)

    def ready_phones(self, names: Sequence[str]) -> tuple[list[str], str]:
        """Those of these entries of devices.yaml (none named: all) that are phones and ready, and
        why there is none."""
        if self._probed is None:
            self._probed = _probe_phones()
        phones = {p.name: p for p in self._probed}
        # An emulated one has this machine's speed, so it has to be named.
        chosen = names or [p.name for p in self._probed if not p.emulated]
        ready = [name for name in chosen if name in phones and phones[name].state == "ready"]
        why = [
            f"{name}: {phones[name].error or phones[name].state}"
            if name in phones
            else f"{name} is not a phone of devices.yaml"
            for name in chosen
        ]
        return ready, "; ".join(why) or "devices.yaml has no phone"

    def summary(self) -> list[str]:
        """Lines for the end of the test run."""
        from harness.core.text import count

        lines = [
            f"run {report.run_id}: {count(len(report.cases), 'case')}" for report in self._reports
        ]
        lines += [f"report: {path}" for path in self._written]
        return lines + [f"undecided, measure longer: {line}" for line in self.undecided]


def _measuring(items: Iterable[pytest.Item]) -> Iterator[pytest.Item]:
    """Tests that use the fixture."""
    return (item for item in items if "bench" in getattr(item, "fixturenames", ()))


def _named(item: pytest.Item) -> Iterator[str]:
    """The models that a test passes to `bench`, as its source has them: texts, and parameters of
    the test."""
    function = getattr(item, "function", None)
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))  # type: ignore[arg-type]
    except (OSError, TypeError, SyntaxError):
        return
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or getattr(node.func, "id", "") != "bench":
            continue
        for argument in node.args[:1]:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield argument.value
            elif isinstance(argument, ast.Name):
                value = parameters.get(argument.id)
                if isinstance(value, str | Path):
                    yield str(value)


def _renderer(file: str) -> Any:
    """What writes the format of the file's ending. Raises UsageError if a package is missing."""
    from harness.renderers import optional
    from harness.system import plugins

    renderer = plugins.load("harness.renderers.formats", _FORMATS[Path(file).suffix])
    optional.check(getattr(renderer, "NEEDS", ()))
    return renderer


def _cases_of(report: LoadedReport, model: str, devices: Sequence[str]) -> list[CaseReport]:
    path = Path(model).resolve()
    names = {a.variant for a in report.artifacts if Path(a.path).resolve() == path}
    names = names or {Path(model).stem if Path(model).is_file() else model}
    return [c for c in report.cases if c.variant in names and c.device in devices]


def _refuse_unusable(case: CaseReport) -> None:
    __tracebackhide__ = True
    if case.failure is not None:
        _fail(f"{case.case.id}: {case.failure.message}; {case.failure.fix}")
    if case.status == "invalid":
        reasons = "; ".join(f.message for f in case.findings if f.level == "invalid")
        _fail(f"{case.case.id}: {reasons}")


def _probe_phones() -> list[Probe]:
    """The phones of devices.yaml, each with what is wrong with it."""
    from harness.devices import kind_of
    from harness.devices.probe import probe
    from harness.project import config
    from harness.system.progress import Narrator

    devices = config.load_project(None).devices
    phones = {name: spec for name, spec in devices.items() if kind_of(spec).traits(spec).proves}
    with Narrator() as narrator:
        return [probe(n, spec, narrator.attendant(n)) for n, spec in phones.items()]


def _fail(error: object) -> NoReturn:
    """One line, without the traceback of the harness."""
    raise pytest.fail.Exception(str(error), pytrace=False) from None
