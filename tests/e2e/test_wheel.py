"""The wheel as a newcomer gets it: in an environment of its own, without the checkout."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from harness import __version__
from harness.results import store
from tests.e2e.test_action import measured
from tests.e2e.test_bench_cli import TINY
from tests.e2e.test_notebook import NOTEBOOK
from tests.paths import ROOT

pytestmark = pytest.mark.long

SCRIPTS = ("mobile-bench", "mobile-bench-harness")  # the second is what uvx and pipx look for
# One module of each requirement of the base install.
REQUIRED = ("ai_edge_litert", "numpy", "rich", "adb_shell", "msgspec", "yaml", "platformdirs",
            "portalocker")  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(ROOT))
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of scripts of a new environment with the wheel in it. The requirements are those
    of this environment, and the checkout is not among them."""
    root = tmp_path_factory.mktemp("environment")
    venv.create(root, with_pip=False, symlinks=os.name == "posix")
    bin_folder = root / ("Scripts" if os.name == "nt" else "bin")
    python = bin_folder / "python"
    pip("--python", str(python), "install", "--no-deps", "--no-index", str(wheel))
    asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    # A folder named in a .pth file is searched, but the .pth files in it are not read: an editable
    # install of the harness does not get in this way.
    (Path(site) / "requirements.pth").write_text("\n".join(sorted(map(folder_of, REQUIRED))) + "\n")
    return bin_folder


def pip(*words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def folder_of(module: str) -> str:
    found = importlib.util.find_spec(module)
    assert found is not None
    assert found.origin is not None
    return str(Path(found.origin).parents[1])


def run(
    script: Path, *words: str, cwd: Path, expected: int = 0
) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [script, *words], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == expected, done.stderr
    return done


def test_it_runs_from_the_wheel_alone(scripts: Path, tmp_path: Path) -> None:
    code = "import harness; print(harness.__file__)"
    told = run(scripts / "python", "-c", code, cwd=tmp_path).stdout.strip()
    assert Path(told).is_relative_to(scripts.parent)


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_script_starts(script: str, scripts: Path, tmp_path: Path) -> None:
    told = run(scripts / script, "--version", cwd=tmp_path).stdout
    assert told == f"mobile-bench-harness {__version__}\n"


def test_the_first_command_measures_a_file(scripts: Path, tmp_path: Path) -> None:
    script = scripts / SCRIPTS[1]
    kept = ("--json", "r.json", "--html", "r.html")
    done = run(script, "bench", str(TINY), "--quick", *kept, cwd=tmp_path)
    assert "tiny_float32" in done.stdout
    (case,) = store.read_report(tmp_path / "r.json").cases
    assert case.failure is None
    assert case.metrics["latency"].point is not None
    assert (tmp_path / "r.html").read_bytes().startswith(b"<!doctype html>")


def test_a_wrong_file_is_one_line(scripts: Path, tmp_path: Path) -> None:
    done = run(scripts / SCRIPTS[1], "bench", "missing.tflite", cwd=tmp_path, expected=2)
    assert len(done.stderr.splitlines()) == 1
    assert "missing.tflite" in done.stderr


def test_init_copies_what_the_wheel_carries(scripts: Path, tmp_path: Path) -> None:
    run(scripts / SCRIPTS[1], "init", "mine", cwd=tmp_path)
    assert (tmp_path / "mine/devices.yaml").is_file()
    assert (tmp_path / "mine/models/variants.yaml").is_file()


def test_pytest_finds_the_plugin(scripts: Path, tmp_path: Path) -> None:
    test = f"def test_size(bench):\n    bench({str(TINY)!r}).assert_budget('size<=1kB')\n"
    (tmp_path / "test_model.py").write_text(test)
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--bench-quick")
    done = run(scripts / "python", *words, cwd=tmp_path, expected=1)
    assert "AssertionError: tiny_float32 does not keep its budget" in done.stdout
    assert (tmp_path / "reports").is_dir()


def test_the_action_measures_with_it(scripts: Path, tmp_path: Path) -> None:
    models, budget = str(TINY), "size<=1MB"
    status, told, summary = measured(tmp_path, scripts, models=models, budget=budget, extras="")
    assert (status, told["exit-status"]) == (0, "0")
    assert "tiny_float32" in summary


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_notebook_runs_and_shows_tables_and_a_chart(
    scripts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    manager = pytest.importorskip("jupyter_client.manager")
    pytest.importorskip("ipykernel")
    # The notebook names files beside its own folder, and writes reports/ into it.
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    (tmp_path / "examples").mkdir()
    for name in [name for name in os.environ if name.startswith("PYTHON")]:
        monkeypatch.delenv(name)
    for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    kernel = manager.AsyncKernelManager()
    kernel.kernel_spec.argv[0] = str(scripts / "python")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell("harness.__file__"))
    where = {"metadata": {"path": str(tmp_path / "examples")}}
    client = nbclient.NotebookClient(notebook, km=kernel, timeout=600, resources=where)
    client.execute(cleanup_kc=True)  # the kernel ends, and what talked to it is closed
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    tables = [html for html in map(html_of, shown) if "tiny_int8" in html]
    assert len(tables) >= 2
    assert any("image/png" in output.get("data", {}) for output in shown)
    assert any("no change" in html_of(output) for output in shown)
    told = shown[-1]["data"]["text/plain"].strip("'")
    assert Path(told).is_relative_to(scripts.parent)


def html_of(output: Any) -> str:
    return str(output.get("data", {}).get("text/html", ""))


def test_the_wheel_has_nothing_of_the_tests(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"harness"}
