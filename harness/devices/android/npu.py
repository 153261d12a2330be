"""What an NPU needs beside the runner: libraries, the flags that name them, an environment.

LiteRT's benchmark_model takes *folders* in `--dispatch_library_path` and
`--compiler_plugin_library_path`, whatever their names say: both become options of the environment
that end in LibraryDir (litert/tools/benchmark_litert_model.cc, LiteRT of August 2026). Qualcomm's
libraries also want ADSP_LIBRARY_PATH, where the part for the DSP is found
(g3doc/instructions/BUILD_INSTRUCTIONS.md).
"""

from __future__ import annotations

import shlex
from pathlib import Path

from harness.core.errors import ConfigError
from harness.core.specs import AndroidSpec, RunnerSpec
from harness.core.text import clean
from harness.devices.android.elf import abi_of, can_run
from harness.devices.android.link import PhoneLink
from harness.devices.runners import benchmark_model as runner
from harness.system.files import expanded

HOW = (
    "give runner.dispatch (libLiteRtDispatch_Qualcomm.so, _MediaTek.so or _GoogleTensor.so, built "
    "from LiteRT for the phone) and the vendor's libraries in runner.libraries; "
    "docs/how-to/phone.md says where they come from"
)


def refuse_without_libraries(spec: AndroidSpec, dialect: runner.Dialect | None) -> None:
    """Raises ConfigError if dialect B is to use an NPU without the library that finds it. Dialect A
    asks Android's NNAPI, which brings its own."""
    if dialect == "B" and "npu" in spec.delegate and not spec.runner.dispatch:
        raise ConfigError("delegate: npu needs LiteRT's dispatch library for the phone's chip", HOW)


def files_of(spec: RunnerSpec) -> list[Path]:
    """The library files on this machine. Raises ConfigError if one is missing, or if two have the
    same name."""
    named = {
        "dispatch": [spec.dispatch],
        "compiler_plugin": [spec.compiler_plugin],
        "libraries": spec.libraries,
    }
    found: dict[str, Path] = {}
    for key, paths in named.items():
        for text in filter(None, paths):
            path = expanded(text)
            if not path.is_file():
                raise ConfigError(f"runner.{key}: there is no file {clean(str(path))}", HOW)
            if path.name in found:
                raise ConfigError(
                    f"runner.{key}: two files are called {clean(path.name)}",
                    "they are pushed to one folder: name the one that fits the phone's chip",
                )
            found[path.name] = path
    return list(found.values())


def refuse_other_abi(files: list[Path], abi: str | None) -> None:
    """Raises ConfigError for a library of another processor. A library for the DSP has no ABI that
    Android knows, and is accepted."""
    for path in files:
        mine = abi_of(path)
        if mine and abi and not can_run(abi, mine):
            raise ConfigError(
                f"runner: the library {clean(str(path))} is built for {mine}, and the phone is "
                f"{abi}",
                "the wheel of ai-edge-litert holds plugins for this computer only; build the "
                "library from LiteRT for the phone",
            )


class Libraries:
    """The libraries of one phone, in a folder of their own there."""

    def __init__(self, spec: RunnerSpec, link: PhoneLink) -> None:
        self._spec, self._link = spec, link
        self.folder = f"{link.work}/npu"

    def bring(self) -> None:
        """Push what is not there yet."""
        files = files_of(self._spec)
        if not files:
            return
        refuse_other_abi(files, self._link.identity.abi)
        self._link.shell(f"mkdir -p {shlex.quote(self.folder)}")
        for path in files:
            self._link.bring(path, f"{self.folder}/{path.name}")

    def flags(self, dialect: runner.Dialect) -> list[str]:
        """The flags that name their folder to the runner."""
        if dialect == "A" or not self._spec.dispatch:
            return []
        flags = [f"--dispatch_library_path={self.folder}"]
        if self._spec.compiler_plugin:
            flags.append(f"--compiler_plugin_library_path={self.folder}")
        return flags

    def environment(self) -> str:
        """Before the command, quoted."""
        if not files_of(self._spec):
            return ""
        place = shlex.quote(self.folder)
        return f"env LD_LIBRARY_PATH={place} ADSP_LIBRARY_PATH={place} "
