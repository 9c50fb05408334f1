"""How the problem documents stand in OpenAPI."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from app.api.middleware.auth import is_public
from app.api.problems import MEDIA_TYPE, PROBLEM_TYPES
from app.api.responses import Problem
from app.services.container import Services


def _responses() -> dict[int | str, dict[str, Any]]:
    codes: dict[int | str, list[str]] = {}
    for code, kind in PROBLEM_TYPES.items():
        codes.setdefault(int(kind.status), []).append(f"`{code}`")
    return {
        status: {"model": Problem, "description": ", ".join(named), "content": {MEDIA_TYPE: {}}}
        for status, named in sorted(codes.items(), key=str)
    }


PROBLEMS = _responses()


_KEYS = {"key": {"type": "http", "scheme": "bearer"}, "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}


def document(app: FastAPI) -> None:
    """FastAPI files every schema under the route's own media type; the problems' belongs under theirs."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        description = described()
        for path in description["paths"].values():
            for operation in path.values():
                for response in operation["responses"].values():
                    content = response.get("content", {})
                    for media_type in [each for each in content if each != MEDIA_TYPE and MEDIA_TYPE in content]:
                        content[MEDIA_TYPE] = content.pop(media_type)
        return _secured(description) if _requires_key(app) else description

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI documents it


def _requires_key(app: FastAPI) -> bool:
    services: Services | None = getattr(app.state, "services", None)
    return services is not None and services.authority.requires_key()


def _secured(description: dict[str, Any]) -> dict[str, Any]:
    """With the security that holds now: where no keys are asked for, none is described."""
    components = {**description.get("components", {}), "securitySchemes": _KEYS}
    paths = {
        path: {method: {**operation, "security": _security(path)} for method, operation in operations.items()}
        for path, operations in description["paths"].items()
    }
    return {**description, "components": components, "paths": paths}


def _security(path: str) -> list[dict[str, list[str]]]:
    return [] if is_public(path) else [{name: []} for name in _KEYS]
