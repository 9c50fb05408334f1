"""About the service itself: /models, /healthz, /readyz."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from app.api.dependencies import ServicesOf
from app.api.problems import PROBLEMS
from app.domain.errors import Overloaded

router = APIRouter(tags=["service"])


@router.get("/models", responses=PROBLEMS)
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
                "licence": detector.licence,
                "provenance": detector.provenance,
                "provider": models.provider,
                "calibration": None,
            },
        ]
    }


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/readyz", responses={503: PROBLEMS[503]})
async def readyz(request: Request) -> dict[str, str]:
    """The networks are warm and the gallery answers."""
    services = getattr(request.app.state, "services", None)
    if services is None:
        raise Overloaded("starting, or shutting down")
    await services.enrollment.ask(lambda records: records.galleries())
    return {"status": "ready"}
