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


@router.get("/readyz", responses={503: PROBLEMS[503]}, response_model_exclude_none=True)
async def readyz(state: StateDep) -> Readiness:
    """
    The networks are warm, the database can be read, and what other replicas have changed is known.

    Nothing is counted but deletions, since no key is needed.
    """
    services = state.require_services()
    if state.lifecycle.stopping:
        raise Overloaded("shutting down")
    pending = await services.galleries.pending_erasures()
    if not services.has_replicas:
        return Readiness(erasures_pending=pending)
    services.galleries.require_current()
    return Readiness(erasures_pending=pending, replica_lag_seconds=round(services.galleries.lag(), 3))
