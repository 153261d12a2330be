"""Who may import whom, and what costs nothing to import. Read off the source and a real process."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "harness"

# Part of the house -> parts it may import. What is not listed is free to import anything.
ALLOWED = {
    "core": {"core"},
    "metrics": {"core", "metrics"},
    "checks": {"core", "checks"},
    "renderers": {"core", "renderers", "catalog"},
    "transports": {"core", "transports", "plugins", "files"},
    "runners": {"core", "runners", "plugins", "files"},
    "recipes": {"core", "recipes", "plugins"},
    "plan": {"core"},
    "arm64": {"core", "arm64", "plugins", "process", "files"},
    "data": {"core", "data", "files"},
    "store": {"core", "files"},
    "bench": {"core", "interrupts", "rounds", "store", "targets"},
    "rounds": {"core", "plan", "store", "targets"},
}


def imported_parts(path: Path) -> set[str]:
    parts: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "harness":
            below = (node.module or "").split(".")[1:]
            parts |= {below[0]} if below else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            parts |= {name[1] for name in names if name[0] == "harness" and len(name) > 1}
    return parts


def files_of(part: str) -> list[Path]:
    single = ROOT / f"{part}.py"
    return [single] if single.exists() else sorted((ROOT / part).rglob("*.py"))


@pytest.mark.parametrize("part", ALLOWED)
def test_each_part_imports_only_what_it_may(part: str) -> None:
    files = files_of(part)
    assert files
    for path in files:
        assert imported_parts(path) <= ALLOWED[part], path


def test_nothing_but_the_command_line_exits_or_prints() -> None:
    printing = {"cli.py", "__main__.py", "progress.py", "output.py"}
    for path in ROOT.rglob("*.py"):
        if path.name in printing or path.parent.name in ("commands", "emulator"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", f"{path}:{node.lineno}"


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
