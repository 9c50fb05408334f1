"""About the service itself: /models, /healthz, /readyz, /metrics."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from app.api.dependencies import CallerOf, ServicesOf, needs
from app.api.problems import PROBLEMS
from app.domain.callers import Scope
from app.domain.errors import Overloaded
from app.observability.metrics import CONTENT_TYPE

router = APIRouter(tags=["service"])


@router.get("/models", dependencies=[needs(None)], responses=PROBLEMS)
async def list_models(services: ServicesOf) -> dict[str, list[dict[str, Any]]]:
    """The networks loaded, their digests and origins, the provider really in use, and the calibration table."""
    models = services.models
    embedder, detector = models.embedder_manifest, models.detector_manifest
    calibration = models.calibration.model_dump() if models.calibration else None
    return {
        "models": [
            {
                **embedder.model_dump(exclude={"file"}),
                "digest": embedder.file.digest,
                "provider": models.provider,
                "calibration": calibration,
            },
            {
                "id": detector.id,
                "kind": detector.kind,
                "digest": detector.digest,
                "license": detector.license,
                "provenance": detector.provenance,
                "provider": models.provider,
                "calibration": None,
            },
        ]
    }


@router.get("/healthz")
async def healthz(request: Request) -> dict[str, str]:
    """The process answers, if only that it is stopping."""
    return {"status": "stopping" if request.app.state.lifecycle.stopping else "alive"}


@router.get("/readyz", responses={503: PROBLEMS[503]})
async def readyz(request: Request) -> dict[str, str]:
    """The networks are warm and the gallery answers."""
    services = getattr(request.app.state, "services", None)
    if services is None or request.app.state.lifecycle.stopping:
        raise Overloaded("starting, or shutting down")
    await services.galleries.all()
    return {"status": "ready"}


@router.get(
    "/metrics",
    dependencies=[needs(Scope.METRICS)],
    response_class=PlainTextResponse,
    responses={**PROBLEMS, 200: {"content": {"text/plain": {}}, "description": "Prometheus' text format"}},
)
async def read_metrics(request: Request, caller: CallerOf) -> Response:
    """For Prometheus; it tells of every gallery, so a key that is limited to some is not enough."""
    caller.require_all_galleries()
    text = await asyncio.to_thread(request.app.state.metrics.render)
    return Response(text, media_type=CONTENT_TYPE)
