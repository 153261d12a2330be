"""What the tool prints about delegates."""

from __future__ import annotations

import os
from pathlib import Path

from .console import Failed, log, say, state
from .flags import Flags
from .model import Model

ACCELERATORS = {  # flag -> what the tool calls it, the name of its delegate
    "use_gpu": ("GPU", "TfLiteGpuDelegateV2"),
    "use_nnapi": ("NNAPI", "TfLiteNnapiDelegate"),
    "use_npu": ("NPU", "TfLiteNpuDelegate"),
}


def delegate(model: Model, flags: Flags) -> None:
    """Say which nodes run where. The phone has no accelerator: the fault `accelerator=` changes
    only these lines, and the CPU computes in any case."""
    nodes, total, partitions = model.node_counts()
    asked = [flag for flag in ACCELERATORS if flags.get(flag)]
    if not asked:
        log("Created TensorFlow Lite XNNPACK delegate for CPU.")
        if nodes:
            replaced(nodes, total, "TfLiteXNNPackDelegate", partitions)
        return
    name, kernel = ACCELERATORS[asked[0]]
    claim = state("accelerator", "none")
    if asked[0] == "use_npu" and not dispatch_found(flags["dispatch_library_path"]):
        log("No dispatch library found.", "WARNING")
        claim = "none"
    nodes = {"all": total, "part": (total + 1) // 2, "none": 0}[claim]
    if nodes:
        log(f"Created TensorFlow Lite delegate for {name}.")
        replaced(nodes, total, kernel, 1 if nodes == total else 2)
    if "use_cpu" in flags:
        if nodes < total and not flags["use_cpu"]:
            log(
                "Some ops are not accelerated. Add kLiteRtHwAcceleratorCpu to the compilation "
                "accelerator set to allow using the CPU to run those.",
                "ERROR",
            )
            raise Failed("Failed to create the compiled model")
    elif nodes:
        share = "completely" if nodes == total else "partially"
        kernels = "" if nodes == total else " w/ 1 delegate kernels"
        say(
            f"Explicitly applied {name} delegate, and the model graph will be {share} executed "
            f"by the delegate{kernels}."
        )
    else:
        say(
            f"Though {name} delegate is explicitly applied, the model graph will not be executed "
            "by the delegate."
        )


def dispatch_found(folder: str) -> bool:
    """Whether an NPU can be reached: its library is in the folder, and those that it needs are
    looked for there."""
    paths = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    return folder in paths and any(Path(folder).glob("libLiteRtDispatch_*.so"))


def replaced(nodes: int, total: int, kernel: str, partitions: int) -> None:
    """The line in which a build for Android reports delegation."""
    log(
        f"Replacing {nodes} out of {total} node(s) with delegate ({kernel}) node, yielding "
        f"{partitions} partitions for subgraph 0.",
        "VERBOSE",
    )
