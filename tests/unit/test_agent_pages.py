"""SKILL.md and llms.txt name only what exists: commands, options, files, fields, exit statuses."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from harness import cli
from harness.core import errors
from tests import schema
from tests.paths import ROOT
from tests.unit.test_docs import commands

PAGES = {name: (ROOT / name).read_text("utf-8") for name in ("SKILL.md", "llms.txt")}
STARTS = ("mobile-bench ", "uvx mobile-bench-harness ")


def spans(text: str) -> list[str]:
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]


def command_lines() -> list[str]:
    found = [span for text in PAGES.values() for span in spans(text)]
    return sorted({span for span in found if span.startswith(STARTS)})


@pytest.mark.parametrize("line", command_lines())
def test_every_command_line_is_understood(line: str) -> None:
    start = next(start for start in STARTS if line.startswith(start))
    cli.parser().parse_args(shlex.split(line.removeprefix(start)))


def test_there_are_command_lines() -> None:
    assert len(command_lines()) > 10


@pytest.mark.parametrize("page", PAGES)
def test_every_option_exists(page: str) -> None:
    known = {o for sub in commands().values() for a in sub._actions for o in a.option_strings}
    named = {o for span in spans(PAGES[page]) for o in re.findall(r"(?<!\S)--[a-z-]+", span)}
    assert named
    assert named <= known


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file(page: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", PAGES[page]):
        assert (ROOT / target).is_file(), target


def fields() -> Iterator[str]:
    return (s for s in spans(PAGES["SKILL.md"]) if re.match(r"(verdict|cases\[\]|comparison)\.", s))


def test_every_field_is_in_the_schema() -> None:
    named = list(fields())
    assert named
    for path in named:
        names = path.replace("[]", "").split(".")
        parts: list[Any] = [schema.published()]
        for name in names:
            parts = [d["properties"][name] for p in parts for d in objects(p) if has(d, name)]
            assert parts, path


def has(part: Any, name: str) -> bool:
    return name in part.get("properties", {})


def objects(part: Any) -> Iterator[Any]:
    """What a part of the schema may be, through references, choices and lists."""
    if "$ref" in part:
        yield from objects(schema.published()["$defs"][part["$ref"].rpartition("/")[2]])
    for inner in part.get("anyOf", ()):
        yield from objects(inner)
    if isinstance(part.get("items"), dict):
        yield from objects(part["items"])
    yield part


def test_every_exit_status_is_told_and_no_other() -> None:
    rows = re.findall(r"^\| (\d+) \|", PAGES["SKILL.md"], re.MULTILINE)
    known = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert {int(row) for row in rows} == known


def test_the_head_of_the_skill_can_be_read() -> None:
    head = yaml.safe_load(PAGES["SKILL.md"].split("---")[1])
    assert head.keys() == {"name", "description"}
    assert head["name"] == "mobile-bench-harness"
    assert len(head["description"]) <= 1024
