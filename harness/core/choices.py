"""The words that options and keys of devices.yaml take. Imports nothing else, since --help lists
them and must be instant."""

from __future__ import annotations

from typing import Literal

AccuracyOn = Literal["host", "device"]  # where test images are answered
CostKind = Literal["size", "latency", "memory"]
Delegate = Literal["cpu", "gpu", "gpu-fp32", "npu"]  # how the runner is told: devices/runners
InitialWeights = Literal["auto", "random"]  # in place of a variant's `auto`
Prefer = Literal["balanced", CostKind]  # the cost that makes a variant cheapest
Start = Literal["cold", "cached"]
