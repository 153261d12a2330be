"""A float .tflite file made smaller without TensorFlow, by litert-quantizer in a child process: the
recipes for files that a user brings, and `int8-mixed`."""

import importlib.util

from harness.core.errors import UsageError

RECIPES = ("float16", "dynamic_range", "int8", "int8-mixed")
CALIBRATED = ("int8", "int8-mixed")
# The recipes that also make a variant's float file smaller.
OF_VARIANTS = ("int8-mixed",)
PACKAGE = "litert_quantizer"


def check_installed(recipe: str) -> None:
    """Raise UsageError, which names the extra, if the quantizer is not installed."""
    if importlib.util.find_spec(PACKAGE) is None:
        raise UsageError(
            f"the recipe {recipe} needs litert-quantizer",
            "pip install 'mobile-bench-harness[quantize]'",
        )
