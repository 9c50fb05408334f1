"""Face embedders as others export them, small enough to be computed by NumPy."""

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from app.domain.arrays import Floats, Pixels

SIDE, NUMBERS = 16, 4
RANDOM = np.random.default_rng(7)
WEIGHTS: Floats = RANDOM.standard_normal((12, NUMBERS), np.float32)
BIAS: Floats = RANDOM.standard_normal(NUMBERS, np.float32)


def reference(crops: Pixels, mean: Any, std: Any, *, bgr: bool = False) -> Floats:
    """Unit vectors (N, 4) of uint8 RGB crops (N, 16, 16, 3): the means of each channel's quarters, weighed."""
    ordered = crops[..., ::-1] if bgr else crops
    pictures = ((ordered - np.float32(mean)) / np.float32(std)).transpose(0, 3, 1, 2)  # (N, 3, 16, 16)
    quarters = pictures.reshape(-1, 3, 2, 8, 2, 8).mean((3, 5)).reshape(-1, 12)
    vectors = quarters @ WEIGHTS + BIAS
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def write(path: Path, *, shape: Any = ("n", 3, SIDE, SIDE), opset: int = 17, **how: Any) -> Path:
    """
    The file. `rows` is the batch that a Reshape insists on, `dtype` is the input's, `listed` lists weights as inputs,
    `more` adds to the graph's inputs or outputs, and the rest is for `_nodes`.
    """
    more = {"inputs": [], "outputs": []} | how.pop("more", {})
    dtype, listed = how.pop("dtype", TensorProto.FLOAT), how.pop("listed", False)
    constants: dict[str, Any] = {
        "weights": WEIGHTS,
        "bias": BIAS,
        "flat": np.array([how.pop("rows", -1), 12], np.int64),
    }
    constants["square"] = np.array([-1, NUMBERS, 1, 1], np.int64)
    inputs = [helper.make_tensor_value_info("data", dtype, shape)]
    if listed:  # as files before IR version 4 had to
        inputs += [helper.make_tensor_value_info("weights", TensorProto.FLOAT, WEIGHTS.shape)]
    graph = helper.make_graph(
        [*_nodes(**how), *(helper.make_node("Identity", [name], [f"{name}_read"]) for name in more["inputs"])],
        "source",
        inputs + [_floats(name) for name in more["inputs"]],
        [_floats("vectors")] + [_floats(name) for name in more["outputs"]],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
        value_info=[helper.make_tensor_value_info("quarters", TensorProto.FLOAT, [shape[0], 3, 2, 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def _floats(name: str) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)


_ENDS = {
    "square": helper.make_node("Reshape", ["sums", "square"], ["vectors"]),
    "nothing": helper.make_node("Sub", ["sums", "sums"], ["vectors"]),
    "averaged": helper.make_node("ReduceMean", ["sums"], ["vectors"], axes=[0]),
    "random": helper.make_node("RandomNormalLike", ["sums"], ["vectors"]),
}
"""(N, 4, 1, 1), vectors of no length, one vector for all images, or others in each run."""


def _nodes(*, end: str | None = None) -> list[Any]:
    """`end` names one of `_ENDS`."""
    nodes = [
        helper.make_node("AveragePool", ["data"], ["quarters"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Reshape", ["quarters", "flat"], ["rows"]),
        helper.make_node("MatMul", ["rows", "weights"], ["products"]),
        helper.make_node("Add", ["products", "bias"], ["sums" if end else "vectors"]),
    ]
    return [*nodes, _ENDS[end]] if end else nodes
