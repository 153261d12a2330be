"""What a run takes from a device's environment, it gives back, whatever ends it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NoReturn

import pytest

from harness.core.errors import BuildError
from harness.core.specs import ArmSpec
from harness.devices.arm64_core import kind
from harness.measure import prepare, session
from harness.project import config
from harness.project.request import Job, Request
from harness.system.progress import Narrator


def test_the_emulated_core_is_free_again_when_building_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    happened = []

    @contextlib.contextmanager
    def held(spec: ArmSpec) -> Iterator[None]:
        happened.append("held")
        try:
            yield
        finally:
            happened.append("free")

    def fail(*_: object, **__: object) -> NoReturn:
        happened.append("building")
        raise BuildError("no")

    monkeypatch.setattr(kind, "held", held)
    monkeypatch.setattr(prepare, "build_artifacts", fail)
    job = Job(Request(), config.load_project(None), {"arm64": ArmSpec()}, {}, {}, {}, {})
    with pytest.raises(BuildError):
        session.bench(job, Narrator())
    assert happened == ["held", "building", "free"]
