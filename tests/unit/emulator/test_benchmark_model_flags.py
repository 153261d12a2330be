"""The emulated benchmark_model understands the command lines of the real one's captures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness.emulator.benchmark_model import flags
from harness.emulator.benchmark_model.console import Failed
from tests.paths import DATA

CAPTURES = sorted(path.parent for path in (DATA / "golden").glob("*/*/argv.json"))
KNOWN = {**flags.BASE, **flags.DIALECTS["A"]}

# Flags of the real tool that the harness never gives, so that the emulated one has none of them.
NOT_EMULATED = {
    "--dry_run",
    "--export_model_runtime_info",
    "--list_signatures",
    "--model_runtime_info_output_file",
    "--output_proto_filepath",
    "--verbose",
}

# What the real tool says of its parameters, and which flag each of them is.
SAID = {
    "Min num runs": "num_runs",
    "Min runs duration (seconds)": "min_secs",
    "Max runs duration (seconds)": "max_secs",
    "Num threads": "num_threads",
    "Min warmup runs": "warmup_runs",
    "Min warmup runs duration (seconds)": "warmup_min_secs",
    "Graph": "graph",
    "Input layers": "input_layer",
    "Input shapes": "input_layer_shape",
    "Input value files": "input_layer_value_files",
    "Signature to run": "signature_to_run_for",
}
REFUSED = re.compile(r"ERROR: (Failed to parse flag .*)")
UNKNOWN = re.compile(r"WARN: Unconsumed cmdline flags: (.*)")


def name(capture: Path) -> str:
    return f"{capture.parent.name}/{capture.name}"


def arguments(capture: Path) -> list[str]:
    argv: list[str] = json.loads((capture / "argv.json").read_text())
    assert argv[0] == "benchmark_model"
    return argv[1:]


@pytest.mark.parametrize("capture", CAPTURES, ids=name)
def test_a_command_line_means_what_it_meant_to_the_real_tool(
    capture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stdout, stderr = ((capture / f"{n}.txt").read_text() for n in ("stdout", "stderr"))
    if refusal := REFUSED.search(stderr):
        with pytest.raises(Failed) as caught:
            flags.parse(arguments(capture), KNOWN)
        assert str(caught.value) == refusal[1]
        return
    parsed = flags.parse(arguments(capture), KNOWN)

    ours, real = UNKNOWN.search(capsys.readouterr().out), UNKNOWN.search(stdout)
    unknown = [] if ours is None else ours[1].split()
    assert [flag for flag in unknown if flag.partition("=")[0] not in NOT_EMULATED] == (
        [] if real is None else real[1].split()
    )

    told = dict(re.findall(r"^INFO: (.+?): \[(.*)\]$", stdout, re.MULTILINE))
    for title, flag in SAID.items():
        if title in told:
            value = parsed[flag]
            assert told[title] == (f"{value:g}" if isinstance(value, float) else str(value)), flag


def test_every_parameter_is_said_in_some_capture() -> None:
    """A title that no capture has would compare nothing."""
    said = "".join((capture / "stdout.txt").read_text() for capture in CAPTURES)
    missing = {title for title in SAID if f"INFO: {title}: [" not in said}
    assert missing == set()


@pytest.mark.parametrize("flag", sorted(NOT_EMULATED))
def test_what_is_not_emulated_is_a_flag_of_the_real_tool(flag: str) -> None:
    assert f"\t{flag}=" in (DATA / "golden" / "common" / "help" / "stderr.txt").read_text()
    assert flag.removeprefix("--") not in KNOWN
