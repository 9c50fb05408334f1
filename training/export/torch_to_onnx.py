"""PyTorch to ONNX: the one call of the exporter."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

OPSET = 17


def to_onnx(network: nn.Module, example: Tensor, given: str, results: Sequence[str], free: dict[int, str]) -> bytes:
    """The graph of `network`, its input named `given`, its outputs `results`; dimensions in `free` may vary."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates the exporter that writes the smaller, plainer graph
        path = Path(folder) / "graph.onnx"
        torch.onnx.export(
            network,
            (example,),
            path,
            input_names=[given],
            output_names=list(results),
            dynamic_axes={name: dict(free) for name in (given, *results)},
            opset_version=OPSET,
            dynamo=False,
        )
        return path.read_bytes()
