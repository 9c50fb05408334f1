"""Name requests in metrics, logs and traces by their route, since paths contain ids of galleries and subjects."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.routing import compile_path
from starlette.types import Scope

UNMATCHED = "unmatched"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def route_name_of(scope: Scope) -> str:
    """Return the template of the matched route, such as `/galleries/{gallery}`, or `unmatched`."""
    return str(getattr(scope.get("route"), "path", UNMATCHED))


class RouteNames:
    """Finds the route also of requests that were refused before the router."""

    def __init__(self, templates: Iterable[str]) -> None:
        self._templates = [(compile_path(template)[0], template) for template in templates]

    def name_of(self, scope: Scope, path: str) -> str:
        """Return the template of the matched route, or else the first template that matches `path`."""
        matched = route_name_of(scope)
        if matched != UNMATCHED:
            return matched
        return next((template for pattern, template in self._templates if pattern.match(path)), UNMATCHED)


def known_method(method: str) -> str:
    """Return `method`, or `other` for any word that is not an HTTP method."""
    return method if method in _METHODS else "other"
