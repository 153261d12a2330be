"""Makes tests/data/same_network, one network as Keras, ONNX and PyTorch, which is checked in.

    python tests/data/make_same_network.py faces.npz            needs scikit-image
    python tests/data/make_same_network.py faces.npz --torch    needs PyTorch and onnxscript
    python tests/data/make_same_network.py faces.npz            needs Keras

The first call writes the pictures: 200 of 25 by 25 of scikit-image, half of them faces. PyTorch is
trained on the even ones, with pixels from 0 to 1; the last call gives Keras its weights.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

OUT = Path(__file__).parent / "same_network"


def of_torch(pictures: Path, weights: Path) -> None:
    """conv.pt2, conv.onnx and the weights."""
    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 3, stride=2),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, 16, 3, stride=2),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(16, 2),
        torch.nn.Softmax(dim=-1),
    )
    known = np.load(pictures)
    images, labels = (torch.from_numpy(known[key][::2]) for key in ("x", "y"))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(300):
        optimizer.zero_grad()
        loss = torch.nn.functional.nll_loss(torch.log(model(images) + 1e-9), labels)
        loss.backward()
        optimizer.step()
    model.eval()
    example = (torch.zeros(1, 1, 25, 25),)
    torch.export.save(torch.export.export(model, example), str(OUT / "conv.pt2"))
    torch.onnx.export(model, example, str(OUT / "conv.onnx"), external_data=False)
    np.savez(weights, **{key: value.numpy() for key, value in model.state_dict().items()})


def of_keras(weights: Path) -> None:
    """conv.keras, with PyTorch's weights in Keras's order of axes."""
    import keras

    inputs = keras.Input((25, 25, 1))
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(inputs)
    x = keras.layers.Conv2D(16, 3, strides=2, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))
    known = np.load(weights)
    arrays = []
    for layer in ("0", "2", "6"):
        kernel = known[f"{layer}.weight"]
        arrays += [kernel.transpose(2, 3, 1, 0) if kernel.ndim == 4 else kernel.T]
        arrays += [known[f"{layer}.bias"]]
    model.set_weights(arrays)
    model.save(OUT / "conv.keras")


def main() -> None:
    """See above."""
    pictures = Path(sys.argv[1])
    weights = pictures.with_name("weights.npz")
    OUT.mkdir(exist_ok=True)
    if "--torch" in sys.argv:
        of_torch(pictures, weights)
    elif weights.exists():
        of_keras(weights)
    else:
        from skimage.data import lfw_subset

        found = lfw_subset()[:, None].astype(np.float32)
        np.savez(pictures, x=found, y=(np.arange(200) >= 100).astype(np.int64))


if __name__ == "__main__":
    main()
