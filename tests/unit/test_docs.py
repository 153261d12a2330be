"""What the command line offers is documented, and what the documents link to exists."""

from __future__ import annotations

import argparse
import ast
import re
from pathlib import Path

import pytest

from harness.cli import parser
from tests.paths import ROOT

FINDINGS = (ROOT / "docs/reference/findings.md").read_text(encoding="utf-8")
CLI = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")


def commands() -> dict[str, argparse.ArgumentParser]:
    (subparsers,) = (a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
    return dict(subparsers.choices)


@pytest.mark.parametrize("name", commands())
def test_every_command_is_documented(name: str) -> None:
    assert f"\n## {name}\n" in CLI


def section(name: str) -> str:
    """What the page says under a heading, and of the output where it refers to that."""
    _, found, rest = CLI.partition(f"\n## {name}\n")
    assert found
    own = rest.partition("\n## ")[0]
    return own + section("Output") if "(#output)" in own else own


@pytest.mark.parametrize("name", commands())
def test_every_option_is_documented_under_its_command(name: str) -> None:
    for action in commands()[name]._actions:
        for option in action.option_strings:
            if option == "--verbose":
                assert "Every command takes `--verbose`" in CLI
            elif option.startswith("--") and option != "--help":
                assert re.search(rf"`{option}[ `]", section(name)), option


@pytest.mark.parametrize("name", commands())
def test_no_option_is_documented_that_is_not_there(name: str) -> None:
    there = {o for action in commands()[name]._actions for o in action.option_strings}
    own = CLI.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in own.splitlines() if line.startswith("| `--")]
    assert {o for row in rows for o in re.findall(r"`(--[a-z-]+)", row)} <= there


@pytest.mark.parametrize("name", commands())
def test_every_argument_has_a_help_text(name: str) -> None:
    assert [a.dest for a in commands()[name]._actions if not a.help] == []


def codes_in_the_code() -> set[str]:
    """Every text that is given to a Finding as its code. Those put together as they are told
    (`{side}-suspect`) are left out; doctor's are of its own and in no report."""
    found = set()
    for path in (ROOT / "harness").rglob("*.py"):
        if path.name == "doctor.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or getattr(node.func, "id", "") != "Finding":
                continue
            for argument in node.keywords:
                if argument.arg == "code" and not isinstance(argument.value, ast.JoinedStr):
                    texts = [argument.value]
                    if isinstance(argument.value, ast.IfExp):
                        texts = [argument.value.body, argument.value.orelse]
                    found |= {t.value for t in texts if isinstance(t, ast.Constant)}
    return {str(code) for code in found}


def test_every_finding_is_documented_and_no_other() -> None:
    rows = re.findall(r"^\| (`.+?`) \|", FINDINGS, re.MULTILINE)
    documented = {code for row in rows for code in re.findall(r"`([a-z_-]+)`", row)}
    documented -= {"invalid", "serious", "warning", "info"}
    assert codes_in_the_code() - documented == set()
    told = {c for c in documented if not re.search(r"-differs?$|^(baseline|candidate)-", c)}
    assert told - codes_in_the_code() == set()


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")], ids=str)
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_picture_is_in_a_document_and_says_what_it_shows() -> None:
    pages = [
        p.read_text(encoding="utf-8") for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    ]
    shown = re.findall(r"images/([\w-]+\.png)", "\n".join(pages))
    there = {p.name for p in (ROOT / "docs/images").glob("*.png")}
    assert there <= set(shown)
    for alt in re.findall(r'!\[(.*?)\]\([^)]*\.png\)|<img alt="(.*?)"', "\n".join(pages)):
        assert len("".join(alt)) > 10


def test_every_page_is_on_the_site() -> None:
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    named = set(re.findall(r": ([\w/-]+\.md)$", site, re.MULTILINE))
    pages = {p.relative_to(ROOT / "docs").as_posix() for p in ROOT.glob("docs/**/*.md")}
    assert pages - named == set(), "add it to nav in mkdocs.yml"
    assert named - pages == {"reference/options.md", "reference/python.md"}  # generated


def test_the_messages_in_contributing_are_those_of_the_code() -> None:
    """Each message in the column `now` is in the source, however its lines are broken."""
    rows = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("| before | now |")[2]
    now = re.findall(r"^\| `.+` \| `(.+)` \|$", rows, re.MULTILINE)
    assert len(now) == 20
    source = "".join(
        re.sub(r'"\s*\n\s*f?"', "", path.read_text(encoding="utf-8"))
        for path in (ROOT / "harness").rglob("*.py")
    )
    assert [message for message in now if message not in source] == []
