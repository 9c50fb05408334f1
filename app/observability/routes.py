"""What a request is called in metrics, logs and traces: its path would name galleries and subjects."""

from __future__ import annotations

from starlette.types import Scope

UNMATCHED = "unmatched"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def template_of(scope: Scope) -> str:
    """The template of the route that the router has chosen, as `/galleries/{gallery}`."""
    return str(getattr(scope.get("route"), "path", UNMATCHED))


def known_method(method: str) -> str:
    """`other` for one that HTTP does not have: a caller may send whatever word it likes."""
    return method if method in _METHODS else "other"
