"""ImageNet's weights from where `url:` says to a trained artifact, against a server on loopback
that has a small MobileNetV2's; and what happens where no server answers."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import h5py
import numpy as np
import pytest

from harness import api
from harness.artifacts.child import forked
from harness.system import files
from tests import in_keras
from tests.e2e.test_bench_cli import harness, only_run
from tests.line_pictures import folder
from tests.paths import ROOT
from tests.unit.artifacts.test_training import TINY

pytestmark = pytest.mark.long

NAME = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5"
NOWHERE = "http://127.0.0.1:9"

# In the format of the files that Keras publishes.
MAKE_WEIGHTS = f"""
import h5py, keras
from keras.src.legacy.saving import legacy_h5_format
keras.utils.set_random_seed(5)
trunk = keras.applications.MobileNetV2(
    include_top=False, weights=None, alpha=0.35, input_shape=(96, 96, 3))
with h5py.File({NAME!r}, "w") as file:
    legacy_h5_format.save_weights_to_hdf5_group(file, trunk)
"""

VARIANTS = """
variants:
  mobilenet: {model: mobilenet, options: {alpha: 0.35, input_size: 96}}
  tiny: {model: tiny}
training:
  tiny: {epochs: 1}
  mobilenet:
    epochs: 1
    head_epochs: 3
    fine_tune_from: block_16_expand
    fine_tune_epochs: 1
imagenet:
  mobilenet:
    url: URL/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_224_no_top.h5
  tiny:
    url: URL/tiny_no_top.h5
"""


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, keras_home: Path
) -> Iterator[tuple[str, Path]]:
    """(address, the weights file there)."""
    root = tmp_path_factory.mktemp("served")
    in_keras.run(MAKE_WEIGHTS, root)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", root / NAME
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module", autouse=True)
def keras_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keras reads the variable when it is imported, so that what is built here is built in forks
    of another process than that of the other tests."""
    home = tmp_path_factory.mktemp("keras")
    with pytest.MonkeyPatch.context() as patch, forked.ForkServer() as server:
        patch.setenv("KERAS_HOME", str(home))
        patch.setattr(forked, "server", server)
        yield home


def project(root: Path, url: str) -> Path:
    """The shipped MobileNetV2, small, and a quicker network, with their weights at `url`."""
    (root / "models").mkdir(parents=True)
    (root / "models/tiny.py").write_text(TINY)
    shutil.copy(ROOT / "models/mobilenet.py", root / "models")
    (root / "models/variants.yaml").write_text(VARIANTS.replace("URL", url))
    return root


def test_fetched_checked_frozen_and_fine_tuned(
    tmp_path: Path, fresh_cache: Path, keras_home: Path, served: tuple[str, Path]
) -> None:
    url, original = served
    root = project(tmp_path / "project", url)
    images = folder(tmp_path / "lines", {"lying": 15, "standing": 15})
    done = harness("build", "mobilenet", "--data", images, "--project", root, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "ImageNet" not in done.stderr  # nothing to say when all went well
    path = Path(done.stdout.split()[-1])
    phases = [row.split(",")[0] for row in path.with_name("training.csv").read_text().splitlines()]
    assert phases == ["phase", "head", "head", "head", "fine-tuning"]

    # What was fetched is what was served, and its digest is remembered.
    digest = files.sha256(original)
    assert files.sha256(keras_home / "models" / NAME) == digest
    noted = json.loads((fresh_cache / "weights.json").read_text())
    assert noted["sha256"] == {f"{url}/{NAME}": digest}
    # The frozen trunk was run once, and its first layer is still the one that was fetched.
    (features,) = (fresh_cache / "features").glob("*.npz")
    with np.load(features) as stored:
        assert stored["train"].ndim == 2
    with h5py.File(original) as file:
        kernels = file["Conv1"]["Conv1"]
        fetched = np.asarray(kernels[next(iter(kernels))])
    (network,) = (fresh_cache / "trained").glob("*/network.npz")
    with np.load(network) as trained:
        assert any(
            trained[name].shape == fetched.shape and np.array_equal(trained[name], fetched)
            for name in trained.files
        )
    (artifact,) = api.build("mobilenet", data=images, project=root).values()
    assert (artifact.path, artifact.weights, artifact.trained) == (str(path), "imagenet", True)

    # Another file of that name is not used in silence.
    (keras_home / "models" / NAME).write_bytes(original.read_bytes() + b"\0")
    again = harness("build", "mobilenet", "--data", images, "--project", root, cwd=tmp_path)
    assert again.returncode == 2
    assert f"expected {digest}" in again.stderr
    assert "Traceback" not in again.stderr


def test_offline_ends_in_the_documented_findings(tmp_path: Path, fresh_cache: Path) -> None:
    root = project(tmp_path / "project", NOWHERE)
    images = folder(tmp_path / "lines", {"lying": 15, "standing": 15})
    for option, code, says in (
        (
            ("--data", images),
            "trained-from-scratch",
            "the whole network was trained from random weights",
        ),
        (("--untrained",), "random-weights", "built from random weights"),
    ):
        out = tmp_path / code
        done = harness(
            "bench", "tiny", "--quick", "--launches", "1", *option, "--project", root,
            "--out", out / "reports", cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        report = json.loads((only_run(out) / "report.json").read_text())
        (artifact,) = report["artifacts"]
        assert artifact["weights"] == "random"
        (finding,) = [f for f in artifact["findings"] if f["code"] == code]
        assert finding["message"].startswith(says)
        assert "since ImageNet's" in finding["message"]
        assert "put http://127.0.0.1:9/tiny_no_top.h5 at" in finding["mend"]
        assert code in done.stdout
