"""The basic domain types; `core/types.py` exports them too."""

from __future__ import annotations

from typing import Literal

import msgspec

Level = Literal["info", "warning", "serious", "invalid"]
Status = Literal["ok", "suspect", "invalid", "failed"]
Direction = Literal["lower", "higher"]
StopReason = Literal[
    "target_ci",
    "time_budget",
    "launches",
    "max_launches",
    "exact",
    "decided",
    "interrupted",
    "failed",
]


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all domain types."""


HEAT = "heat"  # the stage of a failure: the phone did not cool off


# --- findings and failures------------------------------------------------------------------


class Finding(Value, frozen=True):
    """Something that a reader should know about a number. `info` explains, `warning` qualifies; one
    `serious` finding makes a case `suspect`, one `invalid` finding means that its numbers must not
    be used. `fix` says what the user can do about it; empty if nothing."""

    level: Level
    code: str
    message: str
    fix: str = msgspec.field(default="", name="mend")  # the key in the JSON is a contract


class Failure(Value, frozen=True):
    """Why a case ended early: the stage it was in, and whether another try may help."""

    stage: str
    transient: bool
    message: str
    fix: str = msgspec.field(default="", name="mend")  # the key in the JSON is a contract

    @property
    def status(self) -> Status:
        """The status of the case. A phone that was too hot did not fail, so its case is invalid."""
        return "invalid" if self.stage == HEAT else "failed"


# --- what a row of the table is ---------------------------------------------------------------


class Case(Value, frozen=True, order=True):
    """One row of the table: an artifact on a device in one configuration. `affinity` is the group
    of cores that it runs on, where several are compared."""

    variant: str
    device: str
    runtime: str
    delegate: str = "cpu"
    threads: int = 1
    affinity: str = ""

    @property
    def id(self) -> str:
        """The id of the case, unique within a run."""
        cores = f"/{self.affinity}" if self.affinity else ""
        return f"{self.variant}@{self.device}/{self.runtime}/{self.delegate}/t{self.threads}{cores}"
