"""Count the parameters of an ONNX file without the package onnx, which the service does not need otherwise."""

from __future__ import annotations

import math
from collections.abc import Iterator

_GRAPH, _INITIALIZER, _DIMS = 7, 5, 1  # numbers of fields in ModelProto, GraphProto and TensorProto
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types of Protocol Buffers
_SIZES = {_FIXED64: 8, _FIXED32: 4}


def count_parameters(model: bytes) -> int:
    """Return the numbers in all initializers. Raises ValueError if the bytes are not an ONNX model."""
    try:
        tensors = [
            tensor
            for graph in _fields(memoryview(model), _GRAPH)
            if isinstance(graph, memoryview)
            for tensor in _fields(graph, _INITIALIZER)
            if isinstance(tensor, memoryview)
        ]
        return sum(math.prod(_dimensions(tensor)) for tensor in tensors)
    except IndexError as error:
        raise ValueError("expected an ONNX model") from error


def _dimensions(tensor: memoryview) -> Iterator[int]:
    for value in _fields(tensor, _DIMS):
        if isinstance(value, int):
            yield value
            continue
        position = 0
        while position < len(value):  # packed
            number, position = _varint(value, position)
            yield number


def _fields(message: memoryview, wanted: int) -> Iterator[memoryview | int]:
    """Yield the values of one field of a message."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        value, position = _value(message, position, key & 7)
        if position > len(message):
            raise ValueError("expected an ONNX model, got a shortened one")
        if key >> 3 == wanted:
            yield value


def _value(message: memoryview, position: int, wire_type: int) -> tuple[memoryview | int, int]:
    """Return the value at a position, and the position behind it."""
    if wire_type == _VARINT:
        return _varint(message, position)
    if wire_type == _BYTES:
        size, position = _varint(message, position)
    elif wire_type in _SIZES:
        size = _SIZES[wire_type]
    else:
        raise ValueError(f"expected an ONNX model, got wire type {wire_type}")
    return message[position : position + size], position + size


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return the number at a position, and the position behind it."""
    number = shift = 0
    while True:
        byte = message[position]
        number, shift, position = number | (byte & 0x7F) << shift, shift + 7, position + 1
        if byte < 0x80:
            return number, position
