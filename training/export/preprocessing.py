"""Add preprocessing and L2 to an embedder's graph, so that it maps uint8 RGB crops to unit vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from app.domain.arrays import Floats, Pixels
from training.export.inspect_onnx import SourceGraph

CROPS, VECTORS = "likeness/crops", "likeness/embeddings"
AXES_AS_INPUT = 18
"""The opset from which ReduceL2 takes its axes as an input."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Scale pixels 0 to 255 by (x - mean) / std; both are in the order of channels of the network."""

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool

    def __call__(self, crops: Pixels) -> Floats:
        """Map uint8 RGB (N, size, size, 3) to float32 (N, 3, size, size), as the graph does."""
        ordered = crops[..., ::-1] if self.bgr else crops
        scaled = (ordered.astype(np.float32) - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def wrap_graph(source: SourceGraph, preprocessing: Preprocessing, dimension: int, batch: int | None) -> bytes:
    """Return the wrapped model for `batch` crops per run, or any number if that is None."""
    model = onnx.ModelProto()
    model.CopyFrom(source.model)
    graph, count = model.graph, batch or "batch"
    weights = {weight.name for weight in graph.initializer}
    nodes = [*_input_nodes(preprocessing, source.input), *graph.node, *_output_nodes(source)]
    weight_inputs = [value for value in graph.input if value.name in weights]
    for field in (graph.node, graph.input, graph.output):
        del field[:]
    if batch is None:
        del graph.value_info[:]  # it may fix the batch to one image
    graph.node.extend(nodes)
    graph.input.append(
        helper.make_tensor_value_info(CROPS, TensorProto.UINT8, [count, preprocessing.size, preprocessing.size, 3])
    )
    graph.input.extend(weight_inputs)
    graph.output.append(helper.make_tensor_value_info(VECTORS, TensorProto.FLOAT, [count, dimension]))
    graph.initializer.extend(_constants(preprocessing, source.opset))
    return bytes(model.SerializeToString())


def _input_nodes(preprocessing: Preprocessing, target: str) -> list[NodeProto]:
    cast = helper.make_node("Cast", [CROPS], ["likeness/pixels"], to=TensorProto.FLOAT)
    swap = helper.make_node("Gather", ["likeness/pixels", "likeness/bgr"], ["likeness/swapped"], axis=3)
    ordered = "likeness/swapped" if preprocessing.bgr else "likeness/pixels"
    return [
        cast,
        *([swap] if preprocessing.bgr else []),
        helper.make_node("Sub", [ordered, "likeness/mean"], ["likeness/centered"]),
        helper.make_node("Div", ["likeness/centered", "likeness/std"], ["likeness/scaled"]),
        helper.make_node("Transpose", ["likeness/scaled"], [target], perm=[0, 3, 1, 2]),
    ]


def _output_nodes(source: SourceGraph) -> list[NodeProto]:
    """Flatten, also from (N, D, 1, 1), and divide by the length; a zero vector stays zero."""
    length = (
        helper.make_node("ReduceL2", ["likeness/flat", "likeness/axes"], ["likeness/length"], keepdims=1)
        if source.opset >= AXES_AS_INPUT
        else helper.make_node("ReduceL2", ["likeness/flat"], ["likeness/length"], keepdims=1, axes=[1])
    )
    return [
        helper.make_node("Flatten", [source.output], ["likeness/flat"], axis=1),
        length,
        helper.make_node("Max", ["likeness/length", "likeness/tiny"], ["likeness/divisor"]),
        helper.make_node("Div", ["likeness/flat", "likeness/divisor"], [VECTORS]),
    ]


def _constants(preprocessing: Preprocessing, opset: int) -> list[TensorProto]:
    values: dict[str, npt.NDArray[Any]] = {
        "mean": np.array(preprocessing.mean, np.float32),
        "std": np.array(preprocessing.std, np.float32),
        "tiny": np.array([1e-12], np.float32),
    }
    if preprocessing.bgr:
        values["bgr"] = np.array([2, 1, 0], np.int64)
    if opset >= AXES_AS_INPUT:
        values["axes"] = np.array([1], np.int64)
    return [numpy_helper.from_array(value, f"likeness/{name}") for name, value in values.items()]
