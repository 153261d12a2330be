"""What runtimes keep on disk for their next start. The emulated tool starts no faster with it."""

from __future__ import annotations

from pathlib import Path

from .console import log, state
from .flags import Flags


def caches(flags: Flags) -> None:
    """Write or read XNNPACK's weight cache and the GPU's programs, and print what real runtimes
    print."""
    path = flags.get("xnnpack_weight_cache_file_path")
    if path and flags.get("use_xnnpack", True):
        _xnnpack(Path(path))
    folder = flags.get("delegate_serialize_dir") or flags.get("gpu_serialization_dir")
    if folder and flags.get("use_gpu"):
        _gpu(Path(folder) / "gpuv2_model.bin", classic="delegate_serialize_dir" in flags)


def _xnnpack(path: Path) -> None:
    if path.exists() and state("cache", "") != "ignored":
        log(f"XNNPack weight cache loaded from '{path}'.", "VERBOSE")
        return
    if not _written(path):
        log(
            f"XNNPack weight cache could neither be loaded from or saved to '{path}'. Check that "
            "this location is readable and writable.",
            "ERROR",
        )
        return
    log(f"XNNPack weight cache build for '{path}' started.", "VERBOSE")
    log(f"XNNPack weight cache: written to '{path}'.", "VERBOSE")


def _gpu(path: Path, *, classic: bool) -> None:
    """LiteRT's own GPU accelerator prints nothing about its cache."""
    if path.exists() and state("cache", "") != "ignored":
        if classic:
            log("Initialized OpenCL-based API from serialized data.")
    else:
        _written(path)


def _written(path: Path) -> bool:
    if state("cache", "") == "unwritable":
        return False
    try:
        path.write_bytes(bytes(1024))
    except OSError:
        return False
    return True
