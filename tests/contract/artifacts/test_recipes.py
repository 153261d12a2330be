"""Every file of harness/recipes keeps the contract of harness/artifacts/recipes/__init__.py."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from harness.artifacts import recipes
from harness.artifacts.recipes import pruned
from harness.core.errors import UsageError
from harness.system import plugins

RECIPES = plugins.names("harness.artifacts.recipes")

# TensorFlow and Keras warn about themselves when they are imported and when they convert.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def images() -> list[Any]:
    """Pictures without pure black and white."""
    rng = np.random.default_rng(0)
    return [rng.uniform(40, 200, (1, 32, 32, 1)).round().astype(np.float32) for _ in range(8)]


def small_model() -> Any:
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 1), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(30, activation="relu", bias_initializer="ones")(x)
    return keras.Model(image, layers.Dense(1, activation="sigmoid", name="probability")(x))


class Lite:
    """A converted model, run."""

    def __init__(self, data: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.interpreter = Interpreter(model_content=data)
        self.interpreter.allocate_tensors()
        (self.input,) = self.interpreter.get_input_details()
        (self.output,) = self.interpreter.get_output_details()

    def __call__(self, image: Any) -> Any:
        scale, zero_point = self.input["quantization"]
        value = image / scale + zero_point if scale else image
        self.interpreter.set_tensor(self.input["index"], value.astype(self.input["dtype"]))
        self.interpreter.invoke()
        answer = self.interpreter.get_tensor(self.output["index"]).astype(np.float32)
        scale, zero_point = self.output["quantization"]
        return (answer - zero_point) * scale if scale else answer


@pytest.mark.parametrize("name", RECIPES)
def test_shape_of_the_module(name: str) -> None:
    module = plugins.load("harness.artifacts.recipes", name)
    assert module.__doc__
    module.Options()  # everything has a default
    assert hasattr(module, "convert") or hasattr(module, "prepare")
    assert hasattr(module, "CALIBRATES") == hasattr(module, "convert")


# How far from Keras each may be, and how large beside float32.
EXPECTED = {
    "float32": (1e-6, 1.0),
    "float16": (2e-3, 0.5),
    "dynamic_range": (2e-2, 0.25),
    "int8": (4e-2, 0.25),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_converted_model_answers_like_keras(name: str, images: list[Any]) -> None:
    model = small_model()
    data = recipes.parse(name, {}).convert(model, images)
    tolerance, share = EXPECTED[name]
    lite = Lite(data)
    assert tuple(lite.input["shape_signature"]) == (1, 32, 32, 1)
    for image in images:
        np.testing.assert_allclose(lite(image), model(image).numpy(), atol=tolerance)
    overhead = 6_000  # of the container, whatever the weights are
    assert abs(len(data) - share * 4 * model.count_params()) < overhead


def test_every_converting_recipe_is_covered() -> None:
    assert set(RECIPES) == {*EXPECTED, "pruned"}


def test_int8_takes_a_pixel_less_128(images: list[Any]) -> None:
    lite = Lite(recipes.parse("int8", {}).convert(small_model(), images))
    assert (lite.input["dtype"], lite.output["dtype"]) == (np.int8, np.int8)
    assert lite.input["quantization"] == (1.0, -128)


def test_open_input_size_is_refused() -> None:
    import keras

    image = keras.Input((None, None, 1), name="image")
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(image))
    with pytest.raises(UsageError, match="open shape"):
        recipes.parse("float32", {}).convert(model, ())


# --- pruning ---------------------------------------------------------------------------------


def zeros(model: Any) -> list[tuple[int, int]]:
    kernels = [layer.kernel.numpy() for layer in model.layers if hasattr(layer, "kernel")]
    return [(int((kernel == 0).sum()), kernel.size) for kernel in kernels]


def test_pruned_is_exact_and_spares_biases() -> None:
    model = small_model()
    recipes.parse("pruned", {"sparsity": 0.75}).prepare(model)
    zero, size = map(sum, zip(*zeros(model), strict=True))
    assert zero == round(0.75 * size)
    assert (model.layers[-2].bias.numpy() == 1).all()


def test_zeros_survive_int8(images: list[Any]) -> None:
    chain = recipes.parse("pruned+int8", {"sparsity": 0.8})
    model = small_model()
    chain.prepare(model)
    interpreter = Lite(chain.convert(model, images)).interpreter
    kept = {}
    for detail in interpreter.get_tensor_details():
        with contextlib.suppress(ValueError):  # activations hold nothing
            tensor = interpreter.get_tensor(detail["index"])
            if tensor.dtype == np.int8:
                kept[tensor.size] = int((tensor == 0).sum())
    for count, size in zeros(model):
        assert kept[size] >= count


def test_pruning_while_training_keeps_masks_and_ends_exact() -> None:
    model = small_model()
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 255, (16, 32, 32, 1)).astype(np.float32)
    y = rng.integers(0, 2, (16, 1)).astype(np.float32)
    model.compile(optimizer="adam", loss="binary_crossentropy")
    change = pruned.Change(model, pruned.Options(sparsity=0.6), every=2)
    reached, before = [], []
    for step in range(1, 16):
        before = [layer.kernel.numpy() for layer in model.layers if hasattr(layer, "kernel")]
        model.train_on_batch(x, y)
        change.after_batch(step, 15)
        zero, size = map(sum, zip(*zeros(model), strict=True))
        reached.append(zero)
        assert change.settled(step, 15) == (step >= 10)
    assert reached == sorted(reached)
    assert reached[0] == 0 and reached[9:] == [round(0.6 * size)] * 6
    after = [layer.kernel.numpy() for layer in model.layers if hasattr(layer, "kernel")]
    for was, now in zip(before, after, strict=True):
        np.testing.assert_array_equal(was == 0, now == 0)  # the masks stay
    assert any((was != now).any() for was, now in zip(before, after, strict=True))


kernels = arrays(
    np.float32, array_shapes(max_dims=4, max_side=6), elements=st.floats(-2, 2, width=32)
)


@given(st.lists(kernels, min_size=1, max_size=3), st.floats(0, 0.99))
def test_smallest_weights_go_first(kernels: list[Any], sparsity: float) -> None:
    masks = pruned.smallest(kernels, sparsity)
    assert [mask.shape for mask in masks] == [kernel.shape for kernel in kernels]
    mask = np.concatenate([mask.reshape(-1) for mask in masks])
    weights = np.abs(np.concatenate([kernel.reshape(-1) for kernel in kernels]))
    assert mask.sum() == round(sparsity * weights.size)
    if mask.any() and not mask.all():
        assert weights[mask].max() <= weights[~mask].min()


def test_schedule_is_cubic_and_monotone() -> None:
    path = [pruned.schedule(step, 10, 0.8) for step in range(12)]
    assert path[0] == 0
    assert path[5] == pytest.approx(0.8 * (1 - 0.5**3))
    assert path[10:] == [0.8, 0.8]
    assert path == sorted(path)


# --- chains ----------------------------------------------------------------------------------


def test_options_go_to_the_recipe_that_knows_them() -> None:
    chain = recipes.parse("pruned+int8", {"sparsity": 0.5})
    assert chain.options["pruned"]["sparsity"] == 0.5
    assert chain.options["int8"] == {}
    assert chain.calibrates
    assert chain.trainer is chain.steps[0]
    assert recipes.parse("pruned", {"epochs": 0}).trainer is None
    assert [step.name for step in recipes.parse("pruned", {}).steps] == ["pruned", "float32"]


@pytest.mark.parametrize(
    ("recipe", "options", "says"),
    [
        ("flaot32", {}, "unknown recipe 'flaot32'; did you mean 'float32'"),
        ("int8+pruned", {}, "nothing can come after int8"),
        ("", {}, "unknown recipe ''"),
        ("int8", {"sparsity": 0.5}, "'sparsity'"),
        ("pruned", {"sparsty": 0.5}, "did you mean 'sparsity'"),
        ("pruned", {"sparsity": "much"}, "sparsity: expected a number, but found text"),
        ("pruned", {"sparsity": 1.5}, "sparsity: expected a number < 1.0"),
    ],
)
def test_nonsense_is_refused_in_one_line(
    recipe: str, options: dict[str, object], says: str
) -> None:
    with pytest.raises(UsageError) as caught:
        recipes.parse(recipe, options)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
