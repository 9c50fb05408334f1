"""For orchestrators: /healthz and /readyz."""

from __future__ import annotations

from fastapi import APIRouter

from app.api.dependencies import StateDep
from app.api.openapi import PROBLEMS
from app.api.responses import Health, Readiness
from app.domain.errors import Overloaded

router = APIRouter(tags=["service"])


@router.get("/healthz")
async def healthz(state: StateDep) -> Health:
    """The process is alive; `stopping` while it shuts down."""
    return Health(status="stopping" if state.lifecycle.stopping else "alive")


@router.get("/readyz", responses={503: PROBLEMS[503]})
async def readyz(state: StateDep) -> Readiness:
    """The networks are warm and the database can be read. Nothing is counted but deletions, since no key is needed."""
    services = state.require_services()
    if state.lifecycle.stopping:
        raise Overloaded("shutting down")
    return Readiness(erasures_pending=await services.galleries.pending_erasures())
