"""Refusals that several kinds of device share."""

from __future__ import annotations

from harness.core.errors import UsageError
from harness.devices import Asked


def only_phones(name: str, asked: Asked, *, starts: bool = False) -> None:
    """Raises UsageError if something is asked for that only phones do. `--parity` compares phones
    with this machine, so it is fine as long as there is another device in the request.
    With `starts` the device makes cached starts too."""
    options = {
        "--sustained": asked.sustained_s is not None,
        "--cadence": asked.cadence_s is not None,
        "--profile": asked.profile,
        "--start cached": "cached" in asked.starts and not starts,
        "--parity": asked.parity and set(asked.devices) == {name},
    }
    for option, given in options.items():
        if given:
            raise UsageError(f"device {name} does not support {option}", f"{option} is for phones")
