"""Who may import whom, and what costs nothing to import. Read off the source and a real process."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.import_graph import ROW, ImportGraph, room_of
from tests.paths import ROOT

GRAPH = ImportGraph(ROOT)
HARNESS = GRAPH.folder


def test_every_room_is_listed() -> None:
    assert {room_of(module) for module in GRAPH.modules} <= ROW.keys()


def test_only_the_ways_in_lie_at_the_top() -> None:
    loose = {path.name for path in HARNESS.glob("*.py")}
    assert loose == {"__init__.py", "__main__.py", "cli.py", "api.py", "pytest_plugin.py"}


def test_no_room_imports_a_room_above_or_beside_it() -> None:
    assert sorted(GRAPH.upwards()) == []


def test_no_import_goes_in_a_circle() -> None:
    assert GRAPH.circles() == []


# The TensorFlow child runs the recipes, and what these share must lie beside them to count for the
# keys of the cache.
SHARED = "artifacts.recipes._tflite"


def test_what_begins_with_an_underscore_is_private_to_its_folder() -> None:
    for module, path in GRAPH.modules.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not node.module:
                continue
            for alias in node.names:
                parts = f"{node.module}.{alias.name}".split(".")
                at = next((i for i, p in enumerate(parts) if p[0] == "_" and p[:2] != "__"), None)
                if at is None or parts[0] != "harness":
                    continue
                whole = ".".join(parts[1:at])
                package = (HARNESS / "/".join(parts[1:at])).is_dir()
                folder = whole if package else whole.rpartition(".")[0]
                inside = module.startswith(f"{folder}.")
                shared = ".".join(parts[1:]).startswith(SHARED) and module.startswith("artifacts.")
                assert inside or shared, f"{path} imports {'.'.join(parts)}"


def test_only_the_child_imports_tensorflow() -> None:
    for module, path in GRAPH.modules.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            named += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            heavy = {name.split(".")[0] for name in named} & {"tensorflow", "keras"}
            assert not heavy or module.startswith(("artifacts.child.", "artifacts.recipes.")), path


# Modules that print, by their whole name: a file named like one of them elsewhere may not.
PRINTING = {"__main__", "cli", "system.progress"}
PRINTING_ROOMS = ("commands.", "emulator.")


def may_print(module: str) -> bool:
    return module in PRINTING or module.startswith(PRINTING_ROOMS)


def printing(source: str) -> list[int]:
    """Lines that print, or write to a standard stream."""
    streams = ("sys.stdout.write", "sys.stderr.write")
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", *streams)
    ]


def test_nothing_but_the_command_line_prints() -> None:
    for module, path in GRAPH.modules.items():
        if not may_print(module):
            assert printing(path.read_text(encoding="utf-8")) == [], path


@pytest.mark.parametrize(
    "module", ["results.output", "output", "results.cli", "clients", "emulators"]
)
def test_a_file_named_like_one_that_prints_may_not(module: str) -> None:
    assert not may_print(module)


def test_what_prints_is_seen() -> None:
    assert printing("import sys\nprint(1)\nsys.stderr.write('x')\n_print(2)") == [2, 3]


HEAVY = (
    *("numpy", "tensorflow", "pandas", "ai_edge_litert", "rich", "matplotlib", "adb_shell"),
    *("distributed", "dask", "tornado", "cryptography"),
    *("inspect", "hashlib", "shtab"),
)


@pytest.mark.parametrize("command", [["--help"], ["bench", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(command: list[str]) -> None:
    code = (
        "import sys\n"
        "from harness.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_importing_the_package_imports_nothing_of_it() -> None:
    code = "import sys, harness; print([m for m in sys.modules if m.startswith('harness.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["bench", "build", "compare", "load"])
def test_the_package_offers_functions(name: str) -> None:
    code = f"import harness, harness.cli; assert callable(harness.{name})"
    subprocess.run([sys.executable, "-c", code], check=True)
