"""How the problem documents stand in OpenAPI."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from app.api.errors import MEDIA_TYPE, TABLE
from app.api.schemas import Problem


def _responses() -> dict[int | str, dict[str, Any]]:
    codes: dict[int | str, list[str]] = {}
    for code, kind in TABLE.items():
        codes.setdefault(int(kind.status), []).append(f"`{code}`")
    return {
        status: {"model": Problem, "description": ", ".join(named), "content": {MEDIA_TYPE: {}}}
        for status, named in sorted(codes.items(), key=str)
    }


PROBLEMS = _responses()


def document(app: FastAPI) -> None:
    """FastAPI files every schema under the route's own media type; the problems' belongs under theirs."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        description = described()
        for path in description["paths"].values():
            for operation in path.values():
                for response in operation["responses"].values():
                    content = response.get("content", {})
                    if MEDIA_TYPE in content and "application/json" in content:
                        content[MEDIA_TYPE] = content.pop("application/json")
        return description

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI documents it
