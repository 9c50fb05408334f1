"""What a request is called in metrics, logs and traces: its path would name galleries and subjects."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.routing import compile_path
from starlette.types import Scope

UNMATCHED = "unmatched"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def route_name_of(scope: Scope) -> str:
    """The template of the route that the router has chosen, as `/galleries/{gallery}`."""
    return str(getattr(scope.get("route"), "path", UNMATCHED))


class RouteNames:
    """For requests that were refused before the router saw them."""

    def __init__(self, templates: Iterable[str]) -> None:
        self._known = [(compile_path(template)[0], template) for template in templates]

    def of(self, scope: Scope, path: str) -> str:
        """As template_of; else the first template that `path` fits."""
        chosen = route_name_of(scope)
        if chosen != UNMATCHED:
            return chosen
        return next((template for pattern, template in self._known if pattern.match(path)), UNMATCHED)


def known_method(method: str) -> str:
    """`other` for one that HTTP does not have: a caller may send whatever word it likes."""
    return method if method in _METHODS else "other"
