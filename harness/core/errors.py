"""Every error the harness raises on purpose.

    HarnessError                    one line, what is wrong and how to fix it; never a traceback
    ├── UsageError                  exit 2: the request cannot be carried out as written
    │   ├── ConfigError             ... because of a file: devices.yaml, models/variants.yaml
    │   ├── UnusableFileError       ... because of what is in a model file; others can be measured
    │   ├── StorageError            ... because what was measured cannot be saved: a full disk
    │   └── OtherDeviceError        ... because a run cannot go on with another device
    ├── GateError                   exit 1: a gate says no, for more than a table can say
    │   └── UndecidedError          exit 4: ... does not know, with --strict
    ├── BuildError                  exit 3: an artifact could not be built
    ├── DataError                   exit 2: the folder of images cannot be used
    └── MeasurementError            exit 3: a launch failed; carries a Failure
        ├── WorkerError             the model's process crashed, hung or gave no usable output
        └── DeviceError             the phone, or the way to it
            ├── TransientDeviceError    worth another try: unplugged, timed out
            └── StableDeviceError       will fail again: refused key, full disk, wrong ABI

Anything else that escapes is a bug of ours and keeps its traceback; while measuring, in the run
folder's logs, so that the other devices go on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.core.types import Failure

EXIT_OK = 0
EXIT_GATE = 1
EXIT_USAGE = 2
EXIT_MEASUREMENT = 3
EXIT_UNDECIDED = 4
EXIT_INTERRUPTED = 130

CONFIGURATION = "configuration"  # the stage of a failure that a file of the user's causes


class HarnessError(Exception):
    """What is wrong (`message`) and how to fix it (`fix`), one line each. `log` is the file with
    the output of the child process that failed, if one did."""

    exit_code = EXIT_USAGE
    log: str | None = None

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message}; {self.fix}" if self.fix else self.message


@contextlib.contextmanager
def naming_log(log: Path) -> Iterator[None]:
    """Set `log` of every HarnessError that is raised inside."""
    try:
        yield
    except HarnessError as error:
        error.log = error.log or str(log)
        raise


class UsageError(HarnessError):
    """The command line asks for something that does not exist or makes no sense."""


class ConfigError(UsageError):
    """A configuration file is wrong; the message names the file and the path of the key."""


class UnusableFileError(UsageError):
    """A model file exists, but what is in it cannot be measured. Among other files it is one failed
    case; alone it ends the command."""


class StorageError(UsageError):
    """What was measured cannot be saved, as on a full disk; what was saved before is whole."""


class OtherDeviceError(UsageError):
    """A resumed run found another device, or another build of its software, than it began on."""


class GateError(HarnessError):
    """A gate says no, and there is something to do about it."""

    exit_code = EXIT_GATE


class UndecidedError(GateError):
    """A gate cannot decide, although --strict asks for a decision."""

    exit_code = EXIT_UNDECIDED


class DataError(HarnessError):
    """The folder of images cannot be used."""


class BuildError(HarnessError):
    """Building an artifact failed; the fix names the log."""

    exit_code = EXIT_MEASUREMENT


class MeasurementError(HarnessError):
    """A launch failed at `stage`; `transient` failures are worth another try."""

    exit_code = EXIT_MEASUREMENT
    transient = False

    def __init__(self, stage: str, message: str, fix: str = "") -> None:
        super().__init__(message, fix)
        self.stage = stage

    @property
    def failure(self) -> Failure:
        """The error as a value that a report can hold."""
        from harness.core.types import Failure

        return Failure(
            stage=self.stage, transient=self.transient, message=self.message, fix=self.fix
        )


class WorkerError(MeasurementError):
    """The process that runs the model crashed, hung, or gave an answer that is not a result."""


class DeviceError(MeasurementError):
    """The phone, or the way to it."""


class TransientDeviceError(DeviceError):
    """Unplugged, timed out, reset: the same call may work in a moment."""

    transient = True


class StableDeviceError(DeviceError):
    """Refused key, full disk, wrong ABI: the same call will fail again."""
