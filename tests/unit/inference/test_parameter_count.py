"""Parameters are counted as the package onnx reads the file, and what it refuses is refused."""

import math

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from app.inference.parameter_count import count_parameters

SHAPES = [(), (300, 2), (5,), (1, 1, 7)]
PACKED = b"\x3a\x07\x2a\x05\x0a\x03\x02\xac\x02"  # a graph with an initializer whose dims are 2 and 300, packed
UNKNOWN = b"\xf9\x07" + bytes(8) + b"\xfd\x07" + bytes(4) + b"\xf8\x07\xff\x01" + b"\xfa\x07\x01x"  # field 127


def model_of(shapes: list[tuple[int, ...]]) -> bytes:
    tensors = [numpy_helper.from_array(np.zeros(shape, np.float32), f"w{shape}") for shape in shapes]
    return bytes(onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], tensors)).SerializeToString())


def reference(data: bytes) -> int | None:
    """Return the number of parameters by the package onnx, None if it refuses the bytes."""
    try:
        model = onnx.ModelProto.FromString(data)
    except DecodeError:
        return None
    return sum(math.prod(map(int, tensor.dims)) for tensor in model.graph.initializer)


def counted(data: bytes) -> int | None:
    try:
        return count_parameters(data)
    except ValueError:
        return None


@pytest.mark.parametrize(
    ("data", "parameters"),
    [
        (b"", 0),
        (model_of([]), 0),
        (model_of(SHAPES), 1 + 600 + 5 + 7),
        (PACKED, 600),
        (UNKNOWN + PACKED + UNKNOWN + model_of(SHAPES), 600 + 613),
    ],
    ids=["nothing", "no weights", "shapes", "packed dims", "unknown fields"],
)
def test_the_numbers_of_all_initializers_are_counted(data: bytes, parameters: int) -> None:
    assert counted(data) == reference(data) == parameters


@pytest.mark.parametrize("data", [model_of(SHAPES), UNKNOWN + PACKED], ids=["shapes", "unknown fields"])
def test_a_file_cut_anywhere_is_counted_or_refused_as_by_onnx(data: bytes) -> None:
    cuts = [data[:end] for end in range(len(data))]
    assert [counted(cut) for cut in cuts] == [reference(cut) for cut in cuts]
    assert None in map(counted, cuts)


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"no model", "got wire type 6"), (PACKED[:-1], "got a shortened one"), (b"\x3a\xff", "expected an ONNX model$")],
)
def test_the_message_says_what_is_wrong(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        count_parameters(data)
