"""Convert a PyTorch module to ONNX."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

OPSET = 17


def to_onnx(
    network: nn.Module, example: Tensor, input_name: str, output_names: Sequence[str], dynamic_axes: dict[int, str]
) -> bytes:
    """Return the ONNX graph of `network`; the sizes of `dynamic_axes` may vary, of the input and of every output."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates this exporter, whose graph is smaller and simpler
        path = Path(folder) / "graph.onnx"
        torch.onnx.export(
            network,
            (example,),
            path,
            input_names=[input_name],
            output_names=list(output_names),
            dynamic_axes={name: dict(dynamic_axes) for name in (input_name, *output_names)},
            opset_version=OPSET,
            dynamo=False,
        )
        return path.read_bytes()
