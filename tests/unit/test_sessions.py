"""The recorded sessions of the documentation are of the commands that `docs/session.py` runs."""

from __future__ import annotations

import importlib.util
import re
import shlex
from typing import Any

import pytest

from harness.cli import parser
from tests.paths import ROOT


def _sessions() -> Any:
    spec = importlib.util.spec_from_file_location("session", ROOT / "docs/session.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SESSIONS


SESSIONS = _sessions()


def recorded(page: str) -> list[str]:
    text = (ROOT / SESSIONS[page].page).read_text("utf-8")
    return re.findall(r"^    \$ python -m harness (.+)$", text, flags=re.MULTILINE)


@pytest.mark.parametrize("page", SESSIONS)
def test_the_page_has_the_session_of_today(page: str) -> None:
    session = SESSIONS[page]
    assert recorded(page) == list(session.commands)
    text = (ROOT / session.page).read_text("utf-8")
    assert session.said.strip() in text
    ended = [command for command in session.commands if not command.endswith(" &")]
    assert text.count("\n    [exit status ") == len(ended)
    assert "Traceback" not in text


@pytest.mark.parametrize("page", SESSIONS)
def test_its_commands_are_understood(page: str) -> None:
    for command in recorded(page):
        parser().parse_args(shlex.split(command.removesuffix(" &")))
