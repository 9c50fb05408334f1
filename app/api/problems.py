"""How the problem documents stand in OpenAPI."""

from __future__ import annotations

from typing import Any

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
