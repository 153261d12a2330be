"""`--lab` with and without an address."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import cli

PROJECT = {
    "devices.yaml": "devices: {host: {kind: host}}\nlab: {address: 'tcp://127.0.0.1:1'}\n",
    "models/variants.yaml": "variants: {}\n",
}


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main(["bench", "a.tflite", *words]) == 2
    return capsys.readouterr().err


def test_without_an_address_it_is_the_lab_of_the_project(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models").mkdir()
    for name, text in PROJECT.items():
        (tmp_path / name).write_text(text)
    said = told(capsys, "--project", str(tmp_path), "--lab")
    assert said.startswith("error: no lab answers at tcp://127.0.0.1:1; ")
    (tmp_path / "devices.yaml").write_text("devices: {host: {kind: host}}\n")
    said = told(capsys, "--project", str(tmp_path), "--lab")
    assert said.startswith("error: --lab has no address, and devices.yaml names no lab; ")


def test_the_name_of_a_variant_is_not_its_address(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["bench", "--lab", "scratch"])
    assert "'scratch' is not an address" in capsys.readouterr().err
