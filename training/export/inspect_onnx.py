"""A face embedder that exists as ONNX, looked at before it is wrapped: what it takes and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto

from app.domain.nouns import Floats
from app.runtime.session import Session
from training.errors import TrainingError

OLDEST_OPSET = 8
"""From here on arithmetic broadcasts, and so does Max."""

Shape = list[int | None]


class Unwrappable(TrainingError):
    """The file is no ONNX, or no network from one picture to one vector."""


@dataclass(frozen=True)
class Source:
    """A graph from float32 pictures (N, 3, size, size) to vectors; `batch` is None where N may be any number."""

    model: onnx.ModelProto
    input: str
    output: str
    opset: int
    batch: int | None

    def run(self, pictures: Floats) -> Floats:
        """(N, 3, size, size) to (N, D), one by one, unit length: what the wrapped graph must give."""
        session = Session(self.alone(), provider="cpu")
        vectors = [session.run(picture[None])[0].reshape(1, -1) for picture in pictures]
        found = np.concatenate(vectors).astype(np.float32)
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)

    def alone(self) -> bytes:
        """The source with its one output that is wanted."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        kept = [output for output in model.graph.output if output.name == self.output]
        del model.graph.output[:]
        model.graph.output.extend(kept)
        return bytes(model.SerializeToString())


def read_source(path: Path, size: int, output: str | None = None) -> Source:
    """`output` says which vector is meant where there are several. Raises Unwrappable."""
    model = _load(path)
    given = _input(path, model)
    shape = _shape(given)
    _check_picture(path, given, shape, size)
    if shape[0] not in (None, 1):
        raise Unwrappable(f"{path} takes {shape[0]} pictures a run: want any number, or one")
    return Source(model, given.name, _output(path, model, output), _opset(path, model), shape[0])


def _load(path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(path)
    except (OSError, DecodeError, onnx.checker.ValidationError) as error:  # the last of weights in files beside it
        raise Unwrappable(f"{path} is no ONNX model: {_first_line(error)}") from error
    if not model.graph.node:  # almost any short file reads as an empty one
        raise Unwrappable(f"{path} is no ONNX model: it holds no network")
    return model


def _input(path: Path, model: onnx.ModelProto) -> onnx.ValueInfoProto:
    weights = {weight.name for weight in model.graph.initializer}  # old files list them as inputs too
    inputs = [given for given in model.graph.input if given.name not in weights]
    if len(inputs) != 1:
        raise Unwrappable(f"want a network with one input, got {len(inputs)} in {path}: {_names(inputs)}")
    only: onnx.ValueInfoProto = inputs[0]
    return only


def _output(path: Path, model: onnx.ModelProto, wanted: str | None) -> str:
    outputs = {output.name: output for output in model.graph.output}
    if wanted is None and len(outputs) > 1:
        raise Unwrappable(f"{path} has {len(outputs)} outputs; say by --vector which is meant: {', '.join(outputs)}")
    name = wanted or next(iter(outputs))
    if name not in outputs:
        raise Unwrappable(f"{path} has no output {name!r}, but {', '.join(outputs)}")
    _check_float(path, outputs[name])
    return name


def _check_picture(path: Path, given: onnx.ValueInfoProto, shape: Shape, size: int) -> None:
    _check_float(path, given)
    shown = ", ".join("?" if side is None else str(side) for side in shape)
    if len(shape) == 4 and shape[1] != 3 and shape[3] == 3:
        raise Unwrappable(
            f"{path} takes NHWC, ({shown}): want NCHW, (N, 3, {size}, {size}); export it so, or transpose"
        )
    if len(shape) != 4 or shape[1] not in (3, None):
        raise Unwrappable(f"want pictures (N, 3, {size}, {size}) for input, got ({shown}) in {path}")
    if any(side not in (size, None) for side in shape[2:]):
        raise Unwrappable(f"{path} takes ({shown}): want --size to be its height and its width, got {size}")


def _check_float(path: Path, value: onnx.ValueInfoProto) -> None:
    kind = value.type.tensor_type.elem_type
    if kind != TensorProto.FLOAT:
        raise Unwrappable(f"want float32 for {value.name!r} of {path}, got {TensorProto.DataType.Name(kind)}")


def _shape(value: onnx.ValueInfoProto) -> Shape:
    return [side.dim_value if side.dim_value > 0 else None for side in value.type.tensor_type.shape.dim]


def _opset(path: Path, model: onnx.ModelProto) -> int:
    version = next((int(each.version) for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)
    if version < OLDEST_OPSET:
        raise Unwrappable(f"{path} has opset {version}: want {OLDEST_OPSET} or later; onnx.version_converter may help")
    return version


def _names(values: list[onnx.ValueInfoProto]) -> str:
    return ", ".join(value.name for value in values) or "none"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
