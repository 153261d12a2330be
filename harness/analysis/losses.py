"""How much each variant of a report may lose against the best, in accuracy or in what else is
protected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from harness.analysis import looks
from harness.core.errors import UsageError
from harness.core.text import did_you_mean
from harness.core.types import Artifact, Evaluation, Loss, Value
from harness.stats.accuracy import examples_of_both

if TYPE_CHECKING:
    from harness.stats.enough_images import Needed
    from harness.stats.with_the_best import Counts

ACCURACY, BALANCED, RECALL = "accuracy", "balanced_accuracy", "recall"
_EXAMPLE = "write accuracy, balanced_accuracy or recall:CLASS"


class Protected(Value, frozen=True):
    """What may not be lost: accuracy, balanced accuracy, or the recall of the class `name`."""

    what: str
    name: str = ""

    @property
    def said(self) -> str:
        """Its name in a sentence: `recall of cracked`."""
        return f"recall of {self.name}" if self.name else self.what.replace("_", " ")

    @property
    def metric(self) -> str:
        """Its name as a metric of a comparison and as the option's value: `recall:cracked`."""
        return f"{RECALL}:{self.name}" if self.name else self.what


def parse_protect(text: str) -> Protected:
    """The value of `--protect`; raises UsageError if it is not one."""
    what, colon, name = text.partition(":")
    if what == RECALL and name:
        return Protected(what=RECALL, name=name)
    if what in (ACCURACY, BALANCED) and not colon:
        return Protected(what=what)
    if what == RECALL:
        raise UsageError("--protect recall needs a class", "write it like recall:cracked")
    known = [ACCURACY, BALANCED, "recall:CLASS"]
    raise UsageError(f"--protect: unknown metric {text!r}", did_you_mean(text, known) or _EXAMPLE)


def check_class(protected: Protected, classes: Sequence[str]) -> None:
    """Raise UsageError if the protected class is not one of `classes`."""
    if protected.name and not classes:
        raise UsageError(
            f"--protect recall:{protected.name} needs labelled images, and there are none",
            "leave it out",
        )
    if protected.name and protected.name not in classes:
        raise UsageError(
            f"--protect recall:{protected.name}: the images have no such class",
            did_you_mean(protected.name, classes),
        )


class Losses(NamedTuple):
    """The losses, by name, of the variants that answered the same labelled images. `images` is the
    number of images that count for what is protected. `why_none` says why there are no losses.
    `given_up` has the variants for which a slow one stopped answering, and after how many images
    (`analysis/looks.py`)."""

    protected: Protected
    by_variant: Mapping[str, Loss]
    images: int = 0
    found: Counts | None = None
    why_none: str = ""
    given_up: Mapping[str, int] = MappingProxyType({})

    def needed(self, variant: str, margin: float) -> Needed | None:
        """How many images would decide whether the variant stays within the margin."""
        from harness.stats.enough_images import needed_by

        if self.found is None or variant not in self.by_variant:
            return None
        place = list(self.by_variant).index(variant)
        if place >= self.found.shape[1]:
            return None  # it has stopped, so more images would not change what is known about it
        return needed_by(self.found, place, margin)


def losses_of(
    evaluations: Sequence[Evaluation],
    artifacts: Sequence[Artifact],
    protect: str = ACCURACY,
    margin: float | None = None,
) -> Losses:
    """The losses of every trained variant of `artifacts` that answered the same images as the first
    one. No loss is measured against a float parent that answered only for comparison, because it
    will not be shipped. Without `artifacts`, every artifact that answered counts as a variant.
    `given_up` is found only with a `margin`."""
    protected = parse_protect(protect)
    trained = {a.variant for a in artifacts if a.trained is not False}
    answered = [
        e
        for e in evaluations
        # An old report may hold the counts without the answers.
        if e.failure is None and len(e.scores) == 4 * e.n * e.width
        if e.variant in trained or not artifacts
    ]
    longest = max(answered, key=lambda e: e.n, default=None)
    alike = [e for e in answered if longest and examples_of_both(e, longest) == e.n > 0]
    if not alike:
        return Losses(protected, {}, why_none="no variant answered labelled images")
    names, truth, classes = [e.variant for e in alike], alike[0].truth, alike[0].classes
    right = [e.right for e in alike]
    plan = max((e.looks for e in alike), key=len)
    if plan and protected.what == ACCURACY:
        slow = [e.variant for e in alike if e.looks]
        return _in_looks(protected, dict(zip(names, right, strict=True)), slow, plan, margin)
    fewest = min(len(answers) for answers in right)
    truth, right = truth[:fewest], [answers[:fewest] for answers in right]
    if protected.name:
        if protected.name not in classes:
            return Losses(protected, {}, why_none=f"the images have no class {protected.name!r}")
        wanted = classes.index(protected.name)
        kept = [i for i, label in enumerate(truth) if label == wanted]
        right = [[answers[i] for i in kept] for answers in right]
        if not kept:
            return Losses(protected, {}, why_none=f"no test image is of class {protected.name!r}")
    by_class = tuple(truth) if protected.what == BALANCED else None
    found, each = _judged(tuple(bytes(answers) for answers in right), by_class)
    return Losses(protected, dict(zip(names, each, strict=True)), len(right[0]), found)


def _in_looks(
    protected: Protected,
    right: Mapping[str, Sequence[bool]],
    slow: Sequence[str],
    plan: Sequence[int],
    margin: float | None,
) -> Losses:
    """The losses where some variants may have stopped early. Variants that have answered all images
    come first, because the counts are theirs."""
    from harness.stats import with_the_best

    ordered = dict(sorted(right.items(), key=lambda item: -len(item[1])))
    full = [answers for answers in ordered.values() if len(answers) == plan[-1]]
    found = with_the_best.counts(full) if full else None
    return Losses(
        protected,
        looks.losses(ordered, slow, plan),
        plan[-1],
        found,
        given_up={} if margin is None else looks.given_up(ordered, plan, margin),
    )


@lru_cache(maxsize=8)
def _judged(
    right: tuple[bytes, ...], classes: tuple[int, ...] | None
) -> tuple[Counts, tuple[Loss, ...]]:
    """The counts and losses of variants, kept because both the metrics and the verdict need them.
    `right` has one byte per image."""
    from harness.stats import with_the_best

    answers = [[bool(x) for x in row] for row in right]
    return with_the_best.counts(answers, classes), with_the_best.losses(answers, classes)
