"""Check that an ONNX file is a face embedder that can be wrapped: its input, output and opset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto

from app.domain.arrays import Floats
from app.inference.onnx_session import Session
from training.errors import TrainingError
from training.export.block_weights import with_foldable_weights

OLDEST_OPSET = 8
"""The first opset in which arithmetic and Max broadcast."""

Shape = list[int | None]


class Unwrappable(TrainingError):
    """The file is not ONNX, or not a network from one image to one vector."""


@dataclass(frozen=True)
class SourceGraph:
    """A graph from float32 images (N, 3, size, size) to vectors; `batch` is None where N may be any number."""

    model: onnx.ModelProto
    input: str
    output: str
    opset: int
    batch: int | None

    def run(self, images: Floats) -> Floats:
        """Return unit vectors (N, D) of images (N, 3, size, size), run one by one: the reference for the wrap."""
        session = Session(self.with_one_output(), provider="cpu")
        vectors = np.concatenate([session.run(image[None])[0].reshape(1, -1) for image in images]).astype(np.float32)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)

    def with_one_output(self) -> bytes:
        """Return the model without the outputs that are not used."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        kept = [output for output in model.graph.output if output.name == self.output]
        del model.graph.output[:]
        model.graph.output.extend(kept)
        return bytes(model.SerializeToString())


def read_source(path: Path, size: int, output: str | None = None) -> SourceGraph:
    """Read the model; `output` names the vector, if there are several outputs. Raises Unwrappable."""
    model = with_foldable_weights(_load(path))
    _remove_unused_inputs(model.graph)
    graph_input = _input(path, model)
    shape = _shape(graph_input)
    _check_image(path, graph_input, shape, size)
    if shape[0] not in (None, 1):
        raise Unwrappable(f"expected a network for any number of images, or one, got {shape[0]} in {path}")
    return SourceGraph(model, graph_input.name, _output(path, model, output), _opset(path, model), shape[0])


def _load(path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(path)
    except (OSError, DecodeError, onnx.checker.ValidationError) as error:  # ValidationError: weights in separate files
        raise Unwrappable(f"{path} is not an ONNX model: {_first_line(error)}") from error
    if not model.graph.node:  # almost any short file parses as an empty model
        raise Unwrappable(f"{path} is not an ONNX model: it holds no network")
    return model


def _remove_unused_inputs(graph: onnx.GraphProto) -> None:
    """Remove inputs that no node reads: converted files list the weights that they replaced, which nobody can give."""
    read = {name for node in graph.node for name in node.input}
    kept = [value for value in graph.input if value.name in read]
    del graph.input[:]
    graph.input.extend(kept)


def _input(path: Path, model: onnx.ModelProto) -> onnx.ValueInfoProto:
    weights = {weight.name for weight in model.graph.initializer}  # old files list weights as inputs too
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1:
        raise Unwrappable(f"expected a network with one input, got {len(inputs)} in {path}: {_names(inputs)}")
    only: onnx.ValueInfoProto = inputs[0]
    return only


def _output(path: Path, model: onnx.ModelProto, output: str | None) -> str:
    outputs = {output.name: output for output in model.graph.output}
    if output is None and len(outputs) > 1:
        raise Unwrappable(f"{path} has {len(outputs)} outputs; choose one by --vector: {', '.join(outputs)}")
    name = output or next(iter(outputs))
    if name not in outputs:
        raise Unwrappable(f"{path} has no output {name!r}: expected one of {', '.join(outputs)}")
    _check_float(path, outputs[name])
    return name


def _check_image(path: Path, graph_input: onnx.ValueInfoProto, shape: Shape, size: int) -> None:
    _check_float(path, graph_input)
    shown = ", ".join("?" if side is None else str(side) for side in shape)
    if len(shape) == 4 and shape[1] != 3 and shape[3] == 3:
        raise Unwrappable(
            f"expected NCHW images (N, 3, {size}, {size}), got NHWC ({shown}) in {path}: export again, or transpose"
        )
    if len(shape) != 4 or shape[1] not in (3, None):
        raise Unwrappable(f"expected images (N, 3, {size}, {size}) as input, got ({shown}) in {path}")
    if any(side not in (size, None) for side in shape[2:]):
        raise Unwrappable(f"expected --size to be the height and width of ({shown}) in {path}, got {size}")


def _check_float(path: Path, value: onnx.ValueInfoProto) -> None:
    kind = value.type.tensor_type.elem_type
    if kind != TensorProto.FLOAT:
        raise Unwrappable(f"expected float32 for {value.name!r} in {path}, got {TensorProto.DataType.Name(kind)}")


def _shape(value: onnx.ValueInfoProto) -> Shape:
    return [side.dim_value if side.dim_value > 0 else None for side in value.type.tensor_type.shape.dim]


def _opset(path: Path, model: onnx.ModelProto) -> int:
    version = next((int(each.version) for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)
    if version < OLDEST_OPSET:
        raise Unwrappable(
            f"expected opset {OLDEST_OPSET} or later, got {version} in {path}: onnx.version_converter may help"
        )
    return version


def _names(values: list[onnx.ValueInfoProto]) -> str:
    return ", ".join(value.name for value in values) or "none"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
