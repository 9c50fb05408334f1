"""Say what is wrong with a field that pydantic refused, as `expected X, got Y`."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from app.gallery.limits import ID_PATTERN

MISSING = "expected a value, got none"
MISSING_IMAGE = "expected an image, got none"
TWICE = "expected one value, got two different ones"
_MAX_SHOWN = 40
_NUMBER, _INTEGER = "a number", "a whole number"
_EXPECTED = {
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "finite_number": "a finite number",
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "int_type": _INTEGER,
    "int_parsing": _INTEGER,
    "int_parsing_size": "a smaller number",
    "int_from_float": _INTEGER,
    "literal_error": "{expected}",
    "string_type": "text",
    "string_pattern_mismatch": "text of the form {pattern}",
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "at least {min_length} characters",
    "dict_type": "an object",
    "list_type": "a list",
    "too_long": "at most {max_length}",
    "too_short": "at least {min_length}",
}


def fault(error: Mapping[str, Any], known: Collection[str] = ()) -> str:
    """Return a sentence about one of the errors that pydantic lists; `known` are the fields that a request may have."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return MISSING
    if kind == "extra_forbidden":
        return unknown(str(error["loc"][-1]), known)
    if kind == "value_error":
        return str(context["error"])
    if kind == "string_pattern_mismatch" and context["pattern"] == ID_PATTERN:
        return f"expected 1 to 128 characters without control characters, got {shown(error['input'])}"
    if kind not in _EXPECTED:
        return str(error["msg"])
    return f"expected {_EXPECTED[kind].format(**_plain(context))}, got {_got(kind, context, error['input'])}"


def unknown(name: str, known: Collection[str]) -> str:
    """Return the fault of a field that is none of `known`."""
    names = ", ".join(sorted(known))
    return f"expected {'one of ' * (len(known) > 1)}{names or 'no field'}, got {shown(name)}"


def shown(value: Any) -> str:
    """Return the value as JSON names it; the contents of lists and objects, and the end of long text, are left out."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case dict():
            return "an object"
        case list():
            return "a list"
        case str() if len(value) > _MAX_SHOWN:
            return f"{value[:_MAX_SHOWN]!r}..."
        case float() if not math.isfinite(value):
            return str(value)
    return repr(value)[:_MAX_SHOWN]


def _plain(context: Mapping[str, Any]) -> dict[str, Any]:
    """Write 4.0 as 4."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in context.items()
    }


def _got(kind: str, context: Mapping[str, Any], value: Any) -> str:
    if kind in {"string_too_long", "string_too_short"}:
        return str(len(value))
    if kind in {"too_long", "too_short"}:
        return str(context["actual_length"])
    return shown(value)
