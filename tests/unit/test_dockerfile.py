"""What the Dockerfile copies is there and let in, and the extras that it names exist."""

from __future__ import annotations

import re
import sys

import pytest

from tests.paths import ROOT

TEXT = (ROOT / "Dockerfile").read_text("utf-8")
COPIED = [
    source
    for line in re.findall(r"^COPY (.+)$", TEXT, re.MULTILINE)
    for source in line.split()[:-1]
]


@pytest.mark.parametrize("source", COPIED)
def test_what_is_copied_is_there_and_let_in(source: str) -> None:
    assert (ROOT / source).exists()
    assert f"!{source}" in (ROOT / ".dockerignore").read_text("utf-8").splitlines()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="needs tomllib of Python 3.11")
def test_the_package_has_what_is_copied_and_the_extras() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    extras = re.findall(r"ARG EXTRAS=(\S+)", TEXT)[0].split(",")
    assert set(extras) <= project["project"]["optional-dependencies"].keys()
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], project["project"]["readme"]}
    assert needed <= set(COPIED)
