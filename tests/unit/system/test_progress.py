"""What a person waiting sees in a log."""

from __future__ import annotations

import time

import pytest

from harness.system.progress import Narrator


def test_looking_through_a_folder_is_told_once_it_takes_a_while(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Narrator() as narrator:
        for done in range(1, 101):
            narrator.looking(done, 100)
        assert capsys.readouterr().err == ""
        narrator.looking(1, 12_000)
        time.sleep(2.1)
        narrator.looking(5_000, 12_000)
        narrator.looking(5_001, 12_000)
    assert capsys.readouterr().err == "read the images: 5,000 of 12,000\n"
