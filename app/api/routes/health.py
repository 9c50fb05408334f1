"""For orchestrators: /healthz and /readyz."""

from __future__ import annotations

from fastapi import APIRouter, Request

from app.api.openapi import PROBLEMS
from app.domain.errors import Overloaded

router = APIRouter(tags=["service"])


@router.get("/healthz")
async def healthz(request: Request) -> dict[str, str]:
    """The process is alive; `stopping` while it shuts down."""
    return {"status": "stopping" if request.app.state.lifecycle.stopping else "alive"}


@router.get("/readyz", responses={503: PROBLEMS[503]})
async def readyz(request: Request) -> dict[str, str]:
    """The networks are warm and the gallery answers."""
    services = getattr(request.app.state, "services", None)
    if services is None or request.app.state.lifecycle.stopping:
        raise Overloaded("starting, or shutting down")
    await services.galleries.all()
    return {"status": "ready"}
