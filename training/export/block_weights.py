"""
Weights that are quantized in blocks: DequantizeLinear nodes of constants, as in the int8bq files of OpenCV Zoo.

ONNX Runtime computes such nodes again in every run. It folds the same numbers as Cast, Sub and Mul into float32 weights
when it loads the graph, and the file stays as small.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

OPERATOR = "DequantizeLinear"
DEFAULT_AXIS = 1
Constants = Mapping[str, TensorProto]


def with_foldable_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model that computes the same numbers from weights that are folded at loading."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    constants = {constant.name: constant for constant in graph.initializer}
    nodes, added = [], []
    for node in graph.node:
        if _has_block_weights(node, constants):
            replacements, blocks = _foldable(node, constants)
            nodes.extend(replacements)
            added.extend(blocks)
        else:
            nodes.append(node)
    used = {name for node in nodes for name in node.input}
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(constant for constant in [*constants.values(), *added] if constant.name in used)
    return changed


def _has_block_weights(node: NodeProto, constants: Constants) -> bool:
    """Return whether the node dequantizes constants in whole blocks."""
    if node.op_type != OPERATOR or not all(name in constants for name in node.input if name):
        return False
    block, axis = _layout(node, constants)
    return block > 0 and constants[node.input[0]].dims[axis] % block == 0


def _foldable(node: NodeProto, constants: Constants) -> tuple[list[NodeProto], list[TensorProto]]:
    """Return nodes that compute (weight - zero point) * scale of blocks (..., C / block, block, ...), and constants."""
    (block, axis), name = _layout(node, constants), node.output[0]
    weights, scales, *zero_points = [numpy_helper.to_array(constants[each]) for each in node.input if each]
    shape = (*weights.shape[:axis], weights.shape[axis] // block, block, *weights.shape[axis + 1 :])
    arrays: dict[str, NDArray[np.generic]] = {
        "quantized": weights.reshape(shape),
        "scale": np.expand_dims(scales, axis + 1),
        "shape": np.array(weights.shape, np.int64),
    }
    steps = [helper.make_node("Cast", [f"{name}/quantized"], [f"{name}/float"], to=TensorProto.FLOAT)]
    centered = f"{name}/float"
    if zero_points:
        arrays["zero"] = np.expand_dims(zero_points[0], axis + 1)
        centered = f"{name}/centered"
        steps += [
            helper.make_node("Cast", [f"{name}/zero"], [f"{name}/float_zero"], to=TensorProto.FLOAT),
            helper.make_node("Sub", [f"{name}/float", f"{name}/float_zero"], [centered]),
        ]
    steps += [
        helper.make_node("Mul", [centered, f"{name}/scale"], [f"{name}/blocks"]),
        helper.make_node("Reshape", [f"{name}/blocks", f"{name}/shape"], [name]),
    ]
    return steps, [numpy_helper.from_array(array, f"{name}/{part}") for part, array in arrays.items()]


def _layout(node: NodeProto, constants: Constants) -> tuple[int, int]:
    """Return the block size, 0 if there are no blocks, and the axis that is divided into blocks."""
    values = {attribute.name: attribute.i for attribute in node.attribute}
    return values.get("block_size", 0), values.get("axis", DEFAULT_AXIS) % len(constants[node.input[0]].dims)
