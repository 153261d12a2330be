"""What the parent asks the TensorFlow child to do, and what it hears back."""

from __future__ import annotations

from harness.core.types import Value

# In the folder of the artifact while it is built.
WORK = "work"
# In WORK.
REQUEST = "request.json"
REFUSAL = "refusal.json"


class Request(Value, frozen=True):
    """Build one artifact: load or make a Keras model, change it by the recipe, convert, inspect.

    Either `model_file` (a Python file with `build`) or `keras_file` is given. All paths are
    absolute.
    """

    recipe: str
    recipe_options: dict[str, object] = {}
    model_file: str | None = None
    options: dict[str, object] = {}
    weights: str | None = None
    seed: int = 0
    keras_file: str | None = None
    representative: str | None = None


class Step(Value, frozen=True):
    """One line on the child's standard output: what it does now; `done` of `total` where known."""

    stage: str
    done: int | None = None
    total: int | None = None


class Refusal(Value, frozen=True):
    """Why nothing was built. `usage` is true when the request is at fault and false when building
    it failed."""

    usage: bool
    message: str
    mend: str = ""
