"""The Python environment that a converter runs in: made, found, removed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.artifacts.converters import MODELS, Kind
from harness.core.errors import BuildError, UsageError
from harness.system import files, process
from harness.system.locks import lock

CHILD = Path(__file__).with_name("child.py")
# The versions that this was tried with. onnx2tf names the TensorFlow and NumPy that it needs.
REQUIRED: dict[Kind, tuple[str, ...]] = {
    "onnx": ("onnx2tf==1.29.24",),
    "torch": ("torch==2.13.0", "litert-torch==0.10.0"),
}
_MODULES: dict[Kind, tuple[str, ...]] = {
    "onnx": ("onnx2tf", "onnxruntime"),
    "torch": ("torch", "litert_torch"),
}
_FOLDER = "converters"
_READY = "versions.json"  # written last, so that a folder without it is an unfinished one
_INSTALL_S = 3600.0
_ASK_S = 300.0

Say = Callable[[str], None]


class Environment(NamedTuple):
    """A Python that has a converter, and the versions of what it converts with."""

    python: Path
    versions: dict[str, str]

    @property
    def variables(self) -> dict[str, str]:
        """The variables for its processes. onnx2tf starts programs that are beside its Python.
        PyTorch must not run code that a weights file holds."""
        path = os.pathsep.join([str(self.python.parent), os.environ.get("PATH", os.defpath)])
        return {**os.environ, "PATH": path, "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1"}


def find(kind: Kind, cache: Path) -> Environment | None:
    """The environment that was set up, else this one if it has what is needed, else None."""
    with suppress(OSError, msgspec.DecodeError):
        folder = cache / _FOLDER / kind
        noted = msgspec.json.decode((folder / _READY).read_bytes(), type=dict[str, str])
        if _python(folder).exists():
            return Environment(_python(folder), noted)
    if all(importlib.util.find_spec(name) for name in _MODULES[kind]):
        return Environment(Path(sys.executable), _versions(Path(sys.executable), kind))
    return None


def required(kind: Kind, cache: Path, path: Path) -> Environment:
    """Like `find`; UsageError, which names the command that makes one, for the file `path`."""
    found = find(kind, cache)
    if found is None:
        raise UsageError(
            f"{path} is {MODELS[kind]}, and nothing that converts it is set up",
            f"python -m harness setup {kind}",
        )
    return found


@contextmanager
def using(kind: Kind, cache: Path) -> Iterator[None]:
    """While inside, the environment is not removed or made anew."""
    with files.writing(cache), lock(cache / f"{_FOLDER}-{kind}.lock", shared=True):
        yield


def setup(kind: Kind, cache: Path, say: Say) -> Environment:
    """Make the environment, or leave a finished one as it is. Raises BuildError with what pip
    said."""
    folder = cache / _FOLDER / kind
    with files.writing(cache), lock(cache / f"{_FOLDER}-{kind}.lock"):
        noted = find(kind, cache) if (folder / _READY).exists() else None
        if noted is not None:
            return noted
        shutil.rmtree(folder, ignore_errors=True)
        say(f"making a Python environment in {folder}")
        venv.create(folder, with_pip=True)
        say(f"installing {', '.join(REQUIRED[kind])}; this takes some minutes")
        _install(folder, kind, cache)
        versions = _versions(_python(folder), kind)
        files.write_atomic(folder / _READY, msgspec.json.encode(versions))
        return Environment(_python(folder), versions)


def remove(kind: Kind, cache: Path) -> bool:
    """Remove the environment; whether there was one."""
    folder = cache / _FOLDER / kind
    with files.writing(cache), lock(cache / f"{_FOLDER}-{kind}.lock"):
        there = folder.exists()
        shutil.rmtree(folder, ignore_errors=True)
        return there


def _python(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _install(folder: Path, kind: Kind, cache: Path) -> None:
    log = cache / "logs" / f"setup-{kind}.log"
    log.parent.mkdir(exist_ok=True)
    pip = [str(_python(folder)), "-m", "pip", "install", "--disable-pip-version-check"]
    done = process.run(
        [*pip, *REQUIRED[kind]], stdin=b"", log=log, timeout_s=_INSTALL_S, env=dict(os.environ)
    )
    if done.returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        raise BuildError(
            f"pip could not install {', '.join(REQUIRED[kind])}: {process.last_line(log)}",
            f"the log is {log}",
        )


def _versions(python: Path, kind: Kind) -> dict[str, str]:
    said = process.ask([python, CHILD, "--versions", kind], timeout_s=_ASK_S)
    try:
        return msgspec.json.decode(said.stdout, type=dict[str, str])
    except msgspec.DecodeError:
        raise BuildError(
            f"{python} does not report the versions of its packages: {said.stderr.strip()[-200:]}",
            f"python -m harness setup {kind} --remove, then set it up again",
        ) from None
