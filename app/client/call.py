"""A request and how to read its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

T = TypeVar("T")
Fields: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """
    A request and how to read its answer. `photos` are (field, bytes); `fields` without a value are left out.

    One that is not repeatable fails if it is carried out twice: without an answer it is not sent again. `timeout`
    in seconds is longer than that of the client for requests that may take long.
    """

    method: str
    path: str
    result: Callable[[Any], T]
    photos: Sequence[tuple[str, bytes]] = ()
    fields: Fields = field(default_factory=dict)
    json: Any = None
    lines: bytes | None = None
    query: Fields = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    is_repeatable: bool = True

    @property
    def arguments(self) -> dict[str, Any]:
        """Return the arguments of an httpx client's `request`."""
        arguments: dict[str, Any] = {"headers": dict(self.headers), "params": given(self.query)}
        if self.timeout:
            arguments["timeout"] = self.timeout
        if self.photos:
            arguments["files"] = [(name, (name, data, "application/octet-stream")) for name, data in self.photos]
            arguments["data"] = given(self.fields)
        elif self.lines is not None:
            arguments["content"] = self.lines
        elif self.json is not None:
            arguments["json"] = self.json
        return arguments


def given(fields: Fields) -> dict[str, Any]:
    """Return the fields that have a value, as a form and JSON take them."""
    return {name: value for name, value in fields.items() if value is not None}
