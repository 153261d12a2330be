from __future__ import annotations

import numpy as np

from harness.stats.logits import probabilities
from tests.lazily import Lazily

special = Lazily("scipy.special")


def test_it_is_the_softmax_of_each_row() -> None:
    rows = np.random.default_rng(0).normal(0, 300, (50, 7))
    found = np.reshape(probabilities(rows.ravel().tolist(), 7), rows.shape)
    np.testing.assert_allclose(found, special.softmax(rows, axis=1), atol=1e-12)


def test_a_single_logit_becomes_its_sigmoid() -> None:
    logits = [-2000.0, -3.0, 0.0, 0.5, 2000.0]
    np.testing.assert_allclose(probabilities(logits, 1), special.expit(logits), atol=1e-12)
