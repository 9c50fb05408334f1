"""Tell which requests may take longer than others."""

from __future__ import annotations

import re

from starlette.types import Scope

from app.api.middleware.auth import route_path

_IMPORT = re.compile(r"/galleries/[^/]+/import")


def is_import(scope: Scope) -> bool:
    """Return whether the body is read while it is answered, and so may have any length."""
    return scope["method"] == "POST" and _IMPORT.fullmatch(route_path(scope)) is not None


def is_long(scope: Scope) -> bool:
    return is_import(scope) or (scope["method"] == "POST" and route_path(scope) == "/cluster")
