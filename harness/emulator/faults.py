"""What can go wrong with a phone, on request.

python -m harness emulate --fault unplug_after_bytes=1000000 --fault battery_percent=5
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Literal

import msgspec

from harness.core.errors import UsageError
from harness.core.text import place_and_expected
from harness.system.plugins import unknown


class Faults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Nothing is wrong by default.

    `unplug_after_bytes` cuts every connection once this many bytes have come in, `unplug_during`
    half a second after a shell command containing that text has begun; both happen once, and the
    cable is back after `unplugged_for_s` seconds (None: never). `slow_link` is in bytes per second.
    `hang_after_bytes` stops answering without closing. `hot` is a thermal status that lasts
    `hot_for_s` seconds from the first command on; `hot_launches` is one that begins with each of
    the first n launches of the runner and lasts `hot_for_s`; `throttle_at_minute` is one that
    begins that many minutes after the first launch began, and stays. Each comes with lower
    frequencies and slower inference. `path_tricks` names the phone, and the files it sends, after
    paths of the client's machine. `accelerator` makes the runner claim a GPU and an NPU that take
    all, a part or none of a model's nodes; `accelerator_answers` makes their answers wrong, not
    finite (nan), or wrong unless they compute in float32 (fp16). `mask_ignored` lets all processes
    run on all cores, whatever mask taskset gets. `charging` puts the phone on a cable;
    `battery_current` makes its battery's current impossible to read, positive while it discharges,
    in milliamperes, or always the same. `app` makes the benchmark app crash, the package manager
    refuse it, or the log get cleared. `cache` makes the runtime's caches impossible to write, or
    never read.
    """

    unplug_after_bytes: int | None = None
    unplug_during: str | None = None
    unplugged_for_s: float | None = None
    slow_link: int | None = None
    hang_after_bytes: int | None = None
    refused_key: bool = False
    full_disk: bool = False
    read_only: bool = False
    wrong_hash: bool = False
    battery_percent: int | None = None
    charging: bool = False
    battery_current: Literal["unreadable", "positive", "milliamperes", "stuck"] | None = None
    hot: int | None = None
    hot_for_s: float | None = None
    hot_launches: int | None = None
    throttle_at_minute: float | None = None
    runner: (
        Literal["crash", "hang", "garbage", "half_line", "unknown_flag", "rejects_model", "endless"]
        | None
    ) = None
    accelerator: Literal["all", "part", "none"] | None = None
    mask_ignored: bool = False
    app: Literal["crash", "refused", "log_cleared"] | None = None
    cache: Literal["unwritable", "ignored"] | None = None
    accelerator_answers: Literal["wrong", "nan", "fp16"] | None = None
    escape_codes: bool = False
    path_tricks: bool = False


def parse(settings: Iterable[str]) -> Faults:
    """`["refused_key", "battery_percent=5"]` -> Faults; a typo is a UsageError."""
    fields = Faults.__struct_fields__
    values: dict[str, object] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in fields:
            raise unknown("fault", name, fields)
        values[name] = value or True
    try:
        return msgspec.convert(values, Faults, strict=False)
    except msgspec.ValidationError as error:
        # A fault cannot be given as nothing.
        wrong = place_and_expected(str(error).replace(" | null", ""))
        raise UsageError(
            f"fault {wrong}",
            "docs/explanation/emulated-device.md has the list",
        ) from None


class Link:
    """The cable: counts incoming bytes, and is as slow, hung or unplugged as the faults say."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._received = 0
        self._unplugged = False
        self._closed = threading.Event()

    def received(self, count: int) -> bool:
        """`count` bytes have come in; True if the cable is to be pulled now."""
        self._received += count
        self.pass_on(count)
        limit = self._faults.hang_after_bytes
        if limit is not None and self._received > limit:
            self._closed.wait()
        limit = self._faults.unplug_after_bytes
        if limit is not None and self._received > limit and not self._unplugged:
            self._unplugged = True
            return True
        return False

    def pass_on(self, count: int) -> None:
        """Take the time that `count` bytes need."""
        if self._faults.slow_link:
            time.sleep(count / self._faults.slow_link)

    def close(self) -> None:
        """Wake the threads that are made to hang."""
        self._closed.set()
