"""Read the JSON of an answer as a dataclass of app.client.results."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def read(kind: type[T], value: Any) -> T:
    """Return the JSON value as `kind`. Raises ValueError if a member is missing or of another type."""
    result: T = _read(kind, value, kind.__name__)
    return result


def _read(kind: Any, value: Any, where: str) -> Any:
    origin, parts = get_origin(kind), get_args(kind)
    if kind is Any or (value is None and type(None) in parts):
        return value
    if origin is UnionType:
        return _read(next(part for part in parts if part is not type(None)), value, where)
    if kind is bytes and isinstance(value, str):
        return b64decode(value)
    if is_dataclass(kind):
        return _read_members(kind, value, where)
    expected = {float: int | float}.get(kind, origin or kind)
    if not isinstance(value, list if origin is tuple else expected):
        raise ValueError(f"{where}: expected {getattr(kind, '__name__', kind)}, got {type(value).__name__}")
    if origin in (list, tuple):
        return origin(_read(parts[0], each, where) for each in value)
    return value


def _read_members(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where}: expected an object, got {type(value).__name__}")
    hints, members = _hints(kind), {}
    for each in fields(kind):
        if each.name in value:
            members[each.name] = _read(hints[each.name], value[each.name], f"{where}.{each.name}")
        elif each.default is MISSING and each.default_factory is MISSING:
            raise ValueError(f"{where}: expected a member {each.name!r}, got none")
    return kind(**members)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)
