"""Who may import whom, and what costs nothing to import. Read off the source and a real process."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.paths import ROOT

HARNESS = ROOT / "harness"

# From the top down. A room imports rooms of later rows and itself; it imports nothing else of its
# own row. What stands at the top of harness/ is a room of its own.
LAYERS = (
    ("__main__",),
    ("cli",),
    ("commands", "api"),
    ("search",),
    ("measure",),
    ("engine", "project"),
    ("renderers", "results", "artifacts", "devices"),
    ("analysis", "data", "emulator"),
    ("stats", "system"),
    ("core",),
    ("__init__",),  # the version; its functions are imported from api when they are first used
)
ROW = {room: row for row, rooms in enumerate(LAYERS) for room in rooms}


@cache
def modules() -> dict[str, Path]:
    """Dotted name below harness -> file; a package by its own name."""
    found = {}
    for path in sorted(HARNESS.rglob("*.py")):
        parts = path.relative_to(HARNESS).with_suffix("").parts
        if parts[0] == "_project":
            continue
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        found[name] = path
    return found


def room_of(module: str) -> str:
    return module.split(".")[0]


@cache
def imports(module: str) -> frozenset[str]:
    """The modules of harness that a module imports, inside functions and for types too."""
    known = modules()
    path = known[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()

    def add(dotted: str, names: tuple[str, ...] = ()) -> None:
        inside = {f"{dotted}.{name}".lstrip(".") for name in names} & known.keys()
        others = len(inside) < len(names) or not names
        found.update(inside)
        if dotted in known and others:
            found.add(dotted)
        elif not dotted and others:
            found.add("__init__")

    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                add(".".join([*parents, *filter(None, [node.module])]), names)
            elif (node.module or "").split(".")[0] == "harness":
                add((node.module or "").partition(".")[2], names)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "harness":
                    add(alias.name.partition(".")[2])
    return frozenset(found - {module})


def upwards() -> Iterator[str]:
    for module in modules():
        for other in imports(module):
            mine, theirs = room_of(module), room_of(other)
            if mine == "__init__" or mine == theirs:
                continue
            if ROW[theirs] <= ROW[mine]:
                yield f"harness.{module} imports harness.{other}"


def circles() -> Iterator[str]:
    """Each set of modules that import each other in a ring, found by depth-first search."""
    state: dict[str, int] = {}
    trail: list[str] = []

    def visit(module: str) -> Iterator[str]:
        state[module] = 1
        trail.append(module)
        for other in sorted(imports(module)):
            if other == "__init__" or module == "__init__":
                continue
            if state.get(other) == 1:
                yield " -> ".join([*trail[trail.index(other) :], other])
            elif other not in state:
                yield from visit(other)
        trail.pop()
        state[module] = 2

    for module in modules():
        if module not in state:
            yield from visit(module)


def test_every_room_is_listed() -> None:
    assert {room_of(module) for module in modules()} <= ROW.keys()


def test_only_the_ways_in_lie_at_the_top() -> None:
    loose = {path.name for path in HARNESS.glob("*.py")}
    assert loose == {"__init__.py", "__main__.py", "cli.py", "api.py"}


def test_no_room_imports_a_room_above_or_beside_it() -> None:
    assert sorted(upwards()) == []


def test_no_import_goes_in_a_circle() -> None:
    assert sorted(circles()) == []


def test_only_the_child_imports_tensorflow() -> None:
    for module, path in modules().items():
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
    for module, path in modules().items():
        if not may_print(module):
            assert printing(path.read_text(encoding="utf-8")) == [], path


@pytest.mark.parametrize(
    "module", ["results.output", "output", "results.cli", "clients", "emulators"]
)
def test_a_file_named_like_one_that_prints_may_not(module: str) -> None:
    assert not may_print(module)


def test_what_prints_is_seen() -> None:
    assert printing("import sys\nprint(1)\nsys.stderr.write('x')\n_print(2)") == [2, 3]


HEAVY = ("numpy", "tensorflow", "pandas", "ai_edge_litert", "rich", "matplotlib", "adb_shell")


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
