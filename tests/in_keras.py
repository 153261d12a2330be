"""Runs Keras code for a test, in a fork of the process that has already imported Keras."""

from __future__ import annotations

from pathlib import Path

from harness.artifacts.builder import build
from harness.core.specs import VariantsFile, VariantSpec

# Whatever a model's `build` does on its way is done there.
_MODEL = """
def build():
    import os
    import keras
    before = os.getcwd()
    os.chdir({folder!r})
    exec({code!r}, {{}})
    os.chdir(before)
    image = keras.Input((1,))
    return keras.Model(image, keras.layers.Dense(1)(image))
"""


def run(code: str, folder: Path) -> None:
    """Carry out `code` with `folder` as the current one."""
    made = folder / "in_keras"
    (made / "models").mkdir(parents=True)
    (made / "models/does.py").write_text(_MODEL.format(code=code, folder=str(folder)))
    only = VariantsFile(variants={"does": VariantSpec(model="does")})
    built = build(["does"], only, models_dir=made / "models", cache_dir=made / "cache")
    assert built.failures == {}
