"""/docs: Swagger UI with files from this machine, so that it works offline and loads nothing from other hosts."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, HTMLResponse

from app.domain.errors import NotFound

ASSETS = "fastapi_offline"
"""The package with the files of Swagger UI; it is not imported."""

FILES = ("swagger-ui.css", "swagger-ui-bundle.js")

PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Likeness</title><link rel="stylesheet" href="docs/swagger-ui.css"></head>
<body>
<div id="swagger-ui"></div><script src="docs/swagger-ui-bundle.js"></script><script src="docs/start.js"></script>
</body>
</html>
"""
START = 'SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null});\n'
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HTML_HEADERS = {"Content-Security-Policy": POLICY, "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"}

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def page() -> HTMLResponse:
    return HTMLResponse(PAGE, headers=HTML_HEADERS)


@router.get("/docs/start.js")
async def start() -> Response:
    return Response(START, media_type="text/javascript")


@router.get("/docs/{name}")
async def asset(name: str) -> FileResponse:
    if name not in FILES:
        raise NotFound(f"no page /docs/{name}")
    return FileResponse(_folder() / name)


def _folder() -> Path:
    spec = find_spec(ASSETS)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(f"{ASSETS} is not installed")
    return Path(spec.submodule_search_locations[0]) / "static"
