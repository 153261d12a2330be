"""A training or conversion of fixed length, as a host of a lab does it, and pieces of a build that
ask for it: for benchmarks of the engine."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from harness.artifacts.builder import Site
from harness.artifacts.child.protocol import BuildRequest
from harness.artifacts.jobs import BuildJob
from harness.artifacts.parcel import Parcel
from harness.artifacts.representative import demo
from harness.engine import Engine
from harness.engine.lab.child import Desk
from harness.measure.away_build import Answer
from harness.measure.lab_build import LabBuild

FUNCTION = "tests.fixed_build:carry_out"


def carry_out(arguments: bytes, desk: Desk) -> bytes:
    """Wait for as long as the options of the recipe say, unless it is to stop. With a `journal`
    each try writes there that it began, and that it was stopped; only the first one waits."""
    options = msgspec.json.decode(arguments, type=Parcel).request.recipe_options
    takes_s, journal = float(str(options["takes_s"])), options.get("journal")
    if journal is not None:
        with Path(str(journal)).open("a+") as file:
            file.seek(0)
            takes_s = 0.0 if file.read() else takes_s
            file.write("began\n")
            file.flush()
            stopped = desk.stopping.wait(takes_s)
            file.write("stopped\n" if stopped else "done\n")
        return msgspec.json.encode(Answer(stopped=stopped))
    return msgspec.json.encode(Answer(stopped=desk.stopping.wait(takes_s)))


def build(
    engine: Engine, count: int, takes_s: float, cache: Path, journal: Path | None = None
) -> list[str]:
    """Have `count` variants built; what was said of it."""
    options: dict[str, object] = {"takes_s": takes_s}
    if journal is not None:
        options["journal"] = str(journal)
    said: list[str] = []
    jobs = [
        BuildJob(
            variant=f"v{number}",
            label=f"v{number}",
            key=f"{number:064}",
            request=BuildRequest(recipe="float32", recipe_options=options),
            calibrates=False,
            claims={},
        )
        for number in range(count)
    ]
    lab = LabBuild(engine, said.append, or_here=False, function=FUNCTION)
    failures = lab.bring(jobs, Site(cache, demo(count=2), None), lambda variant, step: None)
    with contextlib.suppress(StopIteration):
        raise RuntimeError(next(iter(failures.values())).message)
    return said
