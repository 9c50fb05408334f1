"""Networks small enough to compute by hand, built on the spot."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, checker, helper, numpy_helper

from app.domain.arrays import Floats
from app.inference.manifest import EmbedderManifest, LandmarkAlignment, ModelFile, digest_of

SIDE, DIMENSION = 16, 3
MEAN_COLOUR = [
    helper.make_node("Cast", ["crops"], ["pixels"], to=TensorProto.FLOAT),
    helper.make_node("ReduceMean", ["pixels"], ["colour"], axes=[1, 2], keepdims=0),
    helper.make_node("ReduceL2", ["colour"], ["length"], axes=[1], keepdims=1),
    helper.make_node("Div", ["colour", "length"], ["vectors"]),
]


def manifest_of(
    model: bytes, size: int = SIDE, dimension: int = DIMENSION, batch: Literal[1] | None = None
) -> EmbedderManifest:
    return EmbedderManifest(
        id="tiny",
        license="MIT",
        provenance={},
        kind="embedder",
        file=ModelFile(path="tiny.onnx", digest=digest_of(model)),
        crop_size=size,
        alignment=LandmarkAlignment(template=((0, 0),) * 5),
        dimension=dimension,
        batch=batch,
    )


def _model(nodes: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any], *constants: Any) -> bytes:
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    return bytes(model.SerializeToString())


def mean_colour() -> bytes:
    """uint8 crops (N, 16, 16, 3) to their mean colours as unit vectors (N, 3)."""
    crops = helper.make_tensor_value_info("crops", TensorProto.UINT8, ["n", SIDE, SIDE, 3])
    vectors = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", DIMENSION])
    return _model(MEAN_COLOUR, [crops], [vectors])


def sum_and_product() -> bytes:
    """Float vectors a and b to a + b and a * b, in this order."""
    given, sums, products = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in names]
        for names in (("a", "b"), ("sum",), ("product",))
    )
    nodes = [helper.make_node("Mul", ["a", "b"], ["product"]), helper.make_node("Add", ["a", "b"], ["sum"])]
    return _model(nodes, given, [*sums, *products])


def first_only() -> bytes:
    """uint8 crops (N, 16, 16, 3) to the vector (1, 3) of the first of them: a network that answers short."""
    crops = helper.make_tensor_value_info("crops", TensorProto.UINT8, ["n", SIDE, SIDE, 3])
    vectors = helper.make_tensor_value_info("first", TensorProto.FLOAT, [1, DIMENSION])
    zero = numpy_helper.from_array(np.array([0], np.int64), "zero")
    return _model([*MEAN_COLOUR, helper.make_node("Gather", ["vectors", "zero"], ["first"])], [crops], [vectors], zero)


def weighted_sum(weights: Sequence[float]) -> bytes:
    """Vectors (N, D) to their inner products (N,) with `weights`: threshold offsets that can be worked out by hand."""
    vectors = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", len(weights)])
    offsets = helper.make_tensor_value_info("threshold_offset", TensorProto.FLOAT, ["n"])
    constant = numpy_helper.from_array(np.array(weights, np.float32), "weights")
    return _model(
        [helper.make_node("MatMul", ["embedding", "weights"], ["threshold_offset"])], [vectors], [offsets], constant
    )


def crowding(crowd: Floats, neighbors: int, average: float, strength: float) -> bytes:
    """Vectors (N, D) to `strength` times their mean cosine to the nearest of a crowd (M, D), less an average (N,)."""
    vectors = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", crowd.shape[1]])
    offsets = helper.make_tensor_value_info("threshold_offset", TensorProto.FLOAT, ["n"])
    constants: dict[str, NDArray[Any]] = {
        "crowd": crowd.T.astype(np.float32),
        "neighbors": np.array([neighbors], np.int64),
        "average": np.array(average, np.float32),
        "strength": np.array(strength, np.float32),
    }
    nodes = [
        helper.make_node("MatMul", ["embedding", "crowd"], ["cosines"]),
        helper.make_node("TopK", ["cosines", "neighbors"], ["nearest", "places"]),
        helper.make_node("ReduceMean", ["nearest"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Sub", ["mean", "average"], ["excess"]),
        helper.make_node("Mul", ["excess", "strength"], ["threshold_offset"]),
    ]
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    return _model(nodes, [vectors], [offsets], *tensors)


def constant_scores(score: float) -> bytes:
    """Return a graph from crops (N, 2, 80, 80, 3) to one score (1,), however many there are."""
    crops = helper.make_tensor_value_info("crops", TensorProto.UINT8, ["n", 2, 80, 80, 3])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1])
    nodes = [
        helper.make_node("Cast", ["crops"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["pixels"], ["largest"], axes=[0, 1, 2, 3, 4], keepdims=0),
        helper.make_node("Mul", ["largest", "none"], ["nothing"]),
        helper.make_node("Add", ["nothing", "score"], ["scores"]),
    ]
    none, constant = (
        numpy_helper.from_array(np.array(values, np.float32), name)
        for name, values in (("none", [0]), ("score", [score]))
    )
    return _model(nodes, [crops], [scores], none, constant)
