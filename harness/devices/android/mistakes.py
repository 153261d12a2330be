"""Mistakes in a phone's entry of devices.yaml that only the phone can show.

They are looked for before anything is built, so that a run ends with status 2 and leaves no folder.
Nothing is changed on the phone, and nothing is pushed.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from harness.core.errors import ConfigError
from harness.core.specs import AndroidSpec, RunnerSpec
from harness.core.text import clean, clean_lines
from harness.devices.android import facts, npu
from harness.devices.android.elf import abi_of, can_run
from harness.devices.android.executable import locate
from harness.devices.android.link import PhoneLink
from harness.devices.runners import benchmark_model as runner


def refuse(spec: AndroidSpec, link: PhoneLink) -> None:
    """Raises ConfigError, whose message begins with the key, and what `locate` raises."""
    masks_of(spec, link)
    npu.refuse_other_abi(npu.files_of(spec.runner), link.identity.abi)
    _refuse_missing_folder(spec, link)
    if spec.runner.path:
        local = locate(spec.runner, link.identity.abi or "unknown")
        refuse_other_abi(local, link)
        _refuse_other_dialect(spec, runner.dialect_of_file(local))
    if spec.runner.device_path:
        _refuse_missing_runner(spec, link)


def refuse_missing_file(named: RunnerSpec) -> None:
    """Raises what `locate` does if the runner's file is not on this machine, or is another one. No
    phone needs to be asked for that."""
    if named.path:
        locate(named, abi="")


def masks_of(spec: AndroidSpec, link: PhoneLink) -> dict[str, str | None]:
    """By affinity of a case the cores to run on, as taskset wants them; None for all. Raises
    ConfigError for a group that the phone does not have."""
    if isinstance(spec.affinity, str):
        return {"": _mask(spec.affinity, link)}
    return {affinity: _mask(affinity, link) for affinity in spec.affinity}


def _mask(affinity: str, link: PhoneLink) -> str | None:
    try:
        return facts.core_mask(affinity, link.identity.cores)
    except ValueError as error:
        raise ConfigError(
            f"affinity: {affinity!r}: {error}",
            "write all, big, mid, little or a hexadecimal mask such as f0",
        ) from None


def refuse_other_abi(local: Path, link: PhoneLink) -> None:
    """Raises ConfigError if the runner is built for another ABI. A file that is not ELF, such as a
    script, is left to the phone."""
    mine, wanted = abi_of(local), link.identity.abi
    if mine and wanted and not can_run(wanted, mine):
        raise ConfigError(
            f"the runner {clean(str(local))} is built for {mine}, and the phone is {wanted}",
            f"use a build for {wanted}",
        )


def _refuse_missing_folder(spec: AndroidSpec, link: PhoneLink) -> None:
    if link.shell(f"[ -d {shlex.quote(spec.work_dir)} ]").exit_code:
        raise ConfigError(
            f"work_dir: there is no folder {clean(spec.work_dir)} on the phone",
            "make it there (adb shell mkdir), or leave work_dir out",
        )


def _refuse_missing_runner(spec: AndroidSpec, link: PhoneLink) -> None:
    path = spec.runner.device_path or ""
    if link.shell(f"[ -e {shlex.quote(path)} ]").exit_code:
        raise ConfigError(
            f"runner.device_path: there is no file {clean(path)} on the phone",
            "push one there, or give runner.path, a file on this machine",
        )
    result = link.shell(f"{shlex.quote(path)} --help")
    said = clean_lines(result.stdout) + clean_lines(result.stderr)
    if not runner.not_executable(result.exit_code, said, ""):
        _refuse_other_dialect(spec, runner.dialect_in(said))


def _refuse_other_dialect(spec: AndroidSpec, found: runner.Dialect | None) -> None:
    """`found` is None where it is not known yet."""
    if found is not None and spec.runner.dialect not in ("auto", found):
        raise other_dialect(spec, found)
    npu.refuse_without_libraries(spec, found)
    if found == "B" and spec.accuracy == "device":
        raise ConfigError(
            "accuracy: the runner is of dialect B, which takes no images and gives no answers",
            "give a runner of dialect A, or leave --accuracy device out",
        )


def other_dialect(spec: AndroidSpec, found: runner.Dialect) -> ConfigError:
    """devices.yaml names one dialect, and the runner is of the other."""
    return ConfigError(
        f"the runner is of dialect {found}, and devices.yaml says dialect {spec.runner.dialect}",
        f"write dialect: {found} or dialect: auto, or give another runner",
    )
