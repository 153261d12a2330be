"""What is built for a run, and what of it is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from harness.artifacts import builder
from harness.artifacts.builder import Built
from harness.artifacts.representative import Representative
from harness.core.types import Artifact, Failure
from harness.measure import mixed, prepare
from harness.project import config
from harness.project.request import Job, Request
from harness.system.progress import Narrator
from tests.answers import Pictures
from tests.fakes import artifact


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The artifacts that have answered the test images. Building takes no time; VGG16 fails."""
    monkeypatch.setenv("MOBILE_BENCH_CACHE", str(tmp_path))

    def build(
        names: Iterable[str], *_: object, ready: Callable[[Artifact], None], **__: object
    ) -> Built:
        built = Built()
        for name in names:
            if name.startswith("vgg16"):
                built.failures[name] = Failure(stage="build", transient=False, message="no", fix="")
            else:
                built.artifacts[name] = artifact(name)
                ready(built.artifacts[name])
        return built

    seen: list[str] = []

    def evaluated(
        _: Job,
        artifacts: dict[str, Artifact],
        parents: dict[str, Artifact],
        *__: Any,
        decide: bool,
    ) -> tuple[()]:
        assert (artifacts, decide) == ({}, False)
        seen.extend(parents)
        return ()

    monkeypatch.setattr(builder, "build", build)
    monkeypatch.setattr(prepare, "evaluated", evaluated)
    return seen


def prepared(*names: str, data: Pictures | None) -> tuple[prepare.Prepared, list[str]]:
    """(what was built, what was told as built)."""
    project = config.load_project(None)
    variants = {name: project.variants.variants[name] for name in names}
    job = Job(Request(), project, {}, variants, {}, {}, {}, data)  # type: ignore[arg-type]
    told: list[str] = []
    with Narrator() as narrator:
        made = prepare.build_artifacts(job, narrator, lambda built: told.append(built.variant))
    return made, told


def test_float_parents_are_built_beside_the_variants_and_not_measured(answered: list[str]) -> None:
    made, told = prepared("mobilenet-int8", "scratch", data=Pictures([0, 1]))
    assert list(made.artifacts) == told == ["mobilenet-int8", "scratch"]
    assert list(made.parents) == answered == ["mobilenet"]


def test_a_variant_that_is_measured_is_built_once(answered: list[str]) -> None:
    made, told = prepared("mobilenet-int8", "mobilenet", data=Pictures([0, 1]))
    assert list(made.artifacts) == told == ["mobilenet-int8", "mobilenet"]
    assert (made.parents, answered) == ({}, [])


def test_without_labelled_images_nothing_is_compared(answered: list[str]) -> None:
    made, told = prepared("mobilenet-int8", data=None)
    assert list(made.artifacts) == told == ["mobilenet-int8"]
    assert (made.parents, answered) == ({}, [])


@pytest.mark.usefixtures("answered")
def test_a_float_parent_that_cannot_be_built_is_no_finding() -> None:
    made, _ = prepared("scratch-int8", "vgg16-gap-int8", data=Pictures([0, 1]))
    (finding,) = made.unbuilt
    assert finding.message == "vgg16-gap-int8 could not be built: no"
    assert list(made.parents) == ["scratch"]


def test_a_file_is_calibrated_on_the_colours_that_it_is_given(
    answered: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Red(Pictures):
        def colours(self, split: Any) -> Any:
            return np.stack([self.images, *[self.images // 2] * 2], axis=-1)

    calibrated = []

    def quantized(
        source: Artifact, recipe: str, *, representative: Representative, **_: Any
    ) -> Any:
        calibrated.append(representative)
        return source

    monkeypatch.setattr("harness.artifacts.quantize.parent.quantized", quantized)
    mine = artifact("mine")
    request, project = Request(recipes=("int8",)), config.load_project(None)
    job = Job(request, project, {}, {}, {"mine": mine}, {}, {}, Red([0, 1]))  # type: ignore[arg-type]
    with Narrator() as narrator:
        prepare.build_artifacts(job, narrator)
    mixed._made(job, mine)
    mixed._made(job, msgspec.structs.replace(mine, model="scratch"))  # learned from greys
    assert [of.images().shape for of in calibrated] == [(2, 256, 256, 3)] * 2 + [(2, 256, 256)]
    assert calibrated[0].fingerprint == calibrated[1].fingerprint != calibrated[2].fingerprint
