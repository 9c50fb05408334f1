"""For Prometheus: /metrics."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from app.api.dependencies import CallerDep, StateDep, require_scope
from app.api.openapi import PROBLEMS
from app.domain.identity import Scope
from app.observability.metrics import CONTENT_TYPE

router = APIRouter(tags=["service"])


@router.get(
    "/metrics",
    dependencies=[require_scope(Scope.METRICS)],
    response_class=PlainTextResponse,
    responses={**PROBLEMS, 200: {"content": {"text/plain": {}}, "description": "Prometheus' text format"}},
)
async def read_metrics(state: StateDep, caller: CallerDep) -> Response:
    """Metrics cover every gallery, so a key that is limited to some galleries is refused."""
    caller.require_all_galleries()
    text = await asyncio.to_thread(state.metrics.render)
    return Response(text, media_type=CONTENT_TYPE)
