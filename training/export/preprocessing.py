"""An embedder's graph between the two ends that the service wants: uint8 RGB crops in, unit vectors out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from app.domain.nouns import Floats, Pixels
from training.export.inspect_onnx import Source

CROPS, VECTORS = "likeness/crops", "likeness/embeddings"
AXES_BECAME_AN_INPUT = 18
"""Of ReduceL2, from this opset on."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """(x - mean) / std of pixels 0 to 255; `mean` and `std` are in the network's own order of channels."""

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    bgr: bool

    def __call__(self, crops: Pixels) -> Floats:
        """(N, size, size, 3) uint8 RGB to (N, 3, size, size) float32: what the graph does, in NumPy."""
        ordered = crops[..., ::-1] if self.bgr else crops
        scaled = (ordered.astype(np.float32) - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def wrapped(source: Source, how: Preprocessing, dimension: int, batch: int | None) -> bytes:
    """The model, with `batch` crops a run, or any number of them."""
    model = onnx.ModelProto()
    model.CopyFrom(source.model)
    graph, free = model.graph, batch or "batch"
    weights = {weight.name for weight in graph.initializer}
    nodes = [*_before(how, source.input), *graph.node, *_after(source)]
    listed = [given for given in graph.input if given.name in weights]
    for field in (graph.node, graph.input, graph.output):
        del field[:]
    if batch is None:
        del graph.value_info[:]  # they may say that one picture goes through
    graph.node.extend(nodes)
    graph.input.append(helper.make_tensor_value_info(CROPS, TensorProto.UINT8, [free, how.size, how.size, 3]))
    graph.input.extend(listed)
    graph.output.append(helper.make_tensor_value_info(VECTORS, TensorProto.FLOAT, [free, dimension]))
    graph.initializer.extend(_constants(how, source.opset))
    return bytes(model.SerializeToString())


def _before(how: Preprocessing, target: str) -> list[NodeProto]:
    cast = helper.make_node("Cast", [CROPS], ["likeness/pixels"], to=TensorProto.FLOAT)
    swap = helper.make_node("Gather", ["likeness/pixels", "likeness/bgr"], ["likeness/swapped"], axis=3)
    ordered = "likeness/swapped" if how.bgr else "likeness/pixels"
    return [
        cast,
        *([swap] if how.bgr else []),
        helper.make_node("Sub", [ordered, "likeness/mean"], ["likeness/centred"]),
        helper.make_node("Div", ["likeness/centred", "likeness/std"], ["likeness/scaled"]),
        helper.make_node("Transpose", ["likeness/scaled"], [target], perm=[0, 3, 1, 2]),
    ]


def _after(source: Source) -> list[NodeProto]:
    """Also of (N, D, 1, 1); a vector of no length stays one."""
    length = (
        helper.make_node("ReduceL2", ["likeness/flat", "likeness/axes"], ["likeness/length"], keepdims=1)
        if source.opset >= AXES_BECAME_AN_INPUT
        else helper.make_node("ReduceL2", ["likeness/flat"], ["likeness/length"], keepdims=1, axes=[1])
    )
    return [
        helper.make_node("Flatten", [source.output], ["likeness/flat"], axis=1),
        length,
        helper.make_node("Max", ["likeness/length", "likeness/tiny"], ["likeness/divisor"]),
        helper.make_node("Div", ["likeness/flat", "likeness/divisor"], [VECTORS]),
    ]


def _constants(how: Preprocessing, opset: int) -> list[TensorProto]:
    values: dict[str, npt.NDArray[Any]] = {
        "mean": np.array(how.mean, np.float32),
        "std": np.array(how.std, np.float32),
        "tiny": np.array([1e-12], np.float32),
    }
    if how.bgr:
        values["bgr"] = np.array([2, 1, 0], np.int64)
    if opset >= AXES_BECAME_AN_INPUT:
        values["axes"] = np.array([1], np.int64)
    return [numpy_helper.from_array(value, f"likeness/{name}") for name, value in values.items()]
