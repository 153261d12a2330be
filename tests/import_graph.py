"""The import graph of harness/: rooms, floors, circles and imports that go up.

    python -m tests.import_graph [CHECKOUT]

prints them of another checkout too, such as an older one. Read off the source; nothing is run.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

# From the top down. A room imports rooms of later rows and itself; it imports nothing else of its
# own row. What stands at the top of harness/ is a room of its own.
LAYERS = (
    ("__main__",),
    ("cli", "pytest_plugin"),
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


def room_of(module: str) -> str:
    """The folder of harness/ that a module lies in, or the module itself at the top."""
    return module.split(".")[0]


class ImportGraph:
    """Who imports whom in the folder `harness` of a checkout."""

    def __init__(self, checkout: Path) -> None:
        self.folder = checkout / "harness"

    @cached_property
    def modules(self) -> dict[str, Path]:
        """Dotted name below harness -> file; a package by its own name."""
        found = {}
        for path in sorted(self.folder.rglob("*.py")):
            parts = path.relative_to(self.folder).with_suffix("").parts
            if parts[0] == "_project":
                continue
            name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
            found[name] = path
        return found

    @cached_property
    def imports(self) -> dict[str, frozenset[str]]:
        """What each module imports, inside functions and for types too."""
        return {module: self._imports_of(module) for module in self.modules}

    def _imports_of(self, module: str) -> frozenset[str]:
        path = self.modules[module]
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        found: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                names = [alias.name for alias in node.names]
                if node.level:
                    parts = package.split(".")
                    parents = parts[: len(parts) - node.level + 1]
                    found |= self._named(".".join([*parents, *filter(None, [node.module])]), names)
                elif (node.module or "").split(".")[0] == "harness":
                    found |= self._named((node.module or "").partition(".")[2], names)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name.split(".")[0] == "harness":
                        found |= self._named(alias.name.partition(".")[2], [])
        return frozenset(found - {module})

    def _named(self, dotted: str, names: list[str]) -> set[str]:
        """The modules that `from harness.DOTTED import NAMES` means."""
        inside = {f"{dotted}.{name}".lstrip(".") for name in names} & self.modules.keys()
        if len(inside) == len(names) and names:
            return inside
        return inside | ({dotted or "__init__"} & self.modules.keys())

    def upwards(self) -> Iterator[str]:
        """Imports of a room above or beside; empty for a checkout without these rooms."""
        for module in self.modules:
            for other in self.imports[module]:
                mine, theirs = room_of(module), room_of(other)
                if mine == "__init__" or mine == theirs or not {mine, theirs} <= ROW.keys():
                    continue
                if ROW[theirs] <= ROW[mine]:
                    yield f"harness.{module} imports harness.{other}"

    def circles(self) -> list[list[str]]:
        """Each set of modules in which every module imports every other, directly or not (Tarjan
        1972)."""
        order: dict[str, int] = {}
        low: dict[str, int] = {}
        stack: list[str] = []
        found: list[list[str]] = []

        def visit(module: str) -> None:
            order[module] = low[module] = len(order)
            stack.append(module)
            for other in sorted(self.imports[module] - {"__init__"}):
                if other not in order:
                    visit(other)
                    low[module] = min(low[module], low[other])
                elif other in stack:
                    low[module] = min(low[module], order[other])
            if low[module] == order[module]:
                ring = stack[stack.index(module) :]
                del stack[stack.index(module) :]
                if len(ring) > 1:
                    found.append(sorted(ring))

        for module in self.modules:
            if module not in order and module != "__init__":
                visit(module)
        return found

    def floors(self) -> int:
        """The longest chain of rooms of which each imports the next, a circle counting once."""
        rooms = {room_of(module) for module in self.modules} - {"__init__"}
        below = {
            room: {
                room_of(other)
                for module in self.modules
                if room_of(module) == room
                for other in self.imports[module]
            }
            - {room, "__init__"}
            for room in rooms
        }
        heights: dict[str, int] = {}

        def height(room: str, above: frozenset[str]) -> int:
            if room not in heights:
                heights[room] = 1 + max(
                    (height(o, above | {room}) for o in below[room] - above), default=0
                )
            return heights[room]

        return max(height(room, frozenset()) for room in rooms)

    def room_circles(self) -> list[str]:
        """Pairs of rooms that import each other."""
        pairs = {
            (room_of(module), room_of(other))
            for module in self.modules
            for other in self.imports[module]
        }
        return sorted(f"{a} <-> {b}" for a, b in pairs if a < b and (b, a) in pairs)


def main() -> None:
    """Print the graph of a checkout in a few lines."""
    graph = ImportGraph(Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd())
    loose = [name for name in graph.modules if "." not in name and graph.modules[name].stem == name]
    folders = {room_of(name) for name in graph.modules} - set(loose)
    print(f"modules {len(graph.modules)}, loose at the top {len(loose)}, rooms {len(folders)}")
    print(f"floors {graph.floors()}")
    for title, found in (
        ("circles of modules", [" ".join(ring) for ring in graph.circles()]),
        ("rooms that import each other", graph.room_circles()),
        ("imports upwards or sideways", sorted(graph.upwards())),
    ):
        print(f"{title}: {len(found)}")
        for line in found:
            print(f"  {line}")


if __name__ == "__main__":
    main()
