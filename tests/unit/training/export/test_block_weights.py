"""Weights quantized in blocks are the numbers that ONNX defines, and are no longer dequantized in every run."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from app.domain.arrays import Floats
from training.export.block_weights import with_foldable_weights
from training.export.inspect_onnx import read_source

ROWS, COLUMNS = 6, 8


def block_quantized(*, axis: int, block: int, zero_point: bool = True) -> onnx.ModelProto:
    """Return y = x @ W, whose W (6, 8) is stored in 8 bits with a scale for each block."""
    random = np.random.default_rng(5)
    weights = random.integers(-128, 128, (ROWS, COLUMNS), np.int8)
    blocks = [ROWS, COLUMNS]
    blocks[axis] //= block
    constants = {
        "quantized": weights,
        "scale": random.uniform(0.01, 0.1, blocks).astype(np.float32),
        "zero": random.integers(-128, 128, blocks, np.int8),
    }
    inputs = ["quantized", "scale", "zero"] if zero_point else ["quantized", "scale"]
    nodes = [
        helper.make_node("DequantizeLinear", inputs, ["weights"], axis=axis, block_size=block),
        helper.make_node("MatMul", ["data", "weights"], ["vectors"]),
    ]
    graph = helper.make_graph(
        nodes,
        "blocks",
        [
            helper.make_tensor_value_info("data", TensorProto.FLOAT, ["n", ROWS]),
            helper.make_tensor_value_info("weights_before", TensorProto.FLOAT, [ROWS, COLUMNS]),
        ],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", COLUMNS])],
        [numpy_helper.from_array(constants[name], name) for name in inputs],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def run(model: onnx.ModelProto, data: Floats) -> Floats:
    """Run the model by the reference implementation of ONNX."""
    unused = np.zeros((ROWS, COLUMNS), np.float32)
    inputs = {value.name: data if value.name == "data" else unused for value in model.graph.input}
    (vectors,) = ReferenceEvaluator(model).run(None, inputs)
    return np.asarray(vectors, np.float32)


@pytest.mark.parametrize("zero_point", [True, False])
@pytest.mark.parametrize(("axis", "block"), [(0, 3), (1, 4), (1, 8), (-1, 2)])
def test_the_numbers_are_those_of_the_quantized_weights(axis: int, block: int, *, zero_point: bool) -> None:
    model = block_quantized(axis=axis, block=block, zero_point=zero_point)
    data = np.random.default_rng(1).standard_normal((4, ROWS), np.float32)
    foldable = with_foldable_weights(model)
    assert "DequantizeLinear" not in {node.op_type for node in foldable.graph.node}
    np.testing.assert_allclose(run(foldable, data), run(model, data), rtol=0, atol=1e-5)


def test_the_file_holds_the_weights_in_8_bits() -> None:
    constants = {each.name: each for each in with_foldable_weights(block_quantized(axis=1, block=4)).graph.initializer}
    large = [each for each in constants.values() if np.prod(each.dims) == ROWS * COLUMNS]
    assert [each.data_type for each in large] == [TensorProto.INT8]


def test_weights_without_blocks_stay_for_the_8_bit_kernels() -> None:
    model = block_quantized(axis=1, block=4)
    _, scale, zero = model.graph.initializer
    del model.graph.node[0].attribute[:]
    scale.CopyFrom(numpy_helper.from_array(np.full(COLUMNS, 0.1, np.float32), "scale"))
    zero.CopyFrom(numpy_helper.from_array(np.zeros(COLUMNS, np.int8), "zero"))
    assert [each.op_type for each in with_foldable_weights(model).graph.node] == ["DequantizeLinear", "MatMul"]


def test_onnx_runtime_folds_the_weights_when_it_loads_the_graph(tmp_path: Path) -> None:
    model = with_foldable_weights(block_quantized(axis=1, block=4))
    del model.graph.input[1]
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    assert [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node] == ["MatMul"]


def test_inputs_that_nothing_reads_are_dropped(tmp_path: Path) -> None:
    model = block_quantized(axis=1, block=4)
    model.graph.input[0].type.tensor_type.shape.CopyFrom(
        helper.make_tensor_type_proto(TensorProto.FLOAT, ["n", 3, 16, 16]).tensor_type.shape
    )
    onnx.save(model, tmp_path / "source.onnx")
    assert [value.name for value in read_source(tmp_path / "source.onnx", 16).model.graph.input] == ["data"]
