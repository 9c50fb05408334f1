"""The networks that answer: /models and their calibrations."""

from __future__ import annotations

from fastapi import APIRouter

from app.api.dependencies import Id, ServicesOf, needs
from app.api.openapi import PROBLEMS
from app.api.presenters import loaded_models
from app.api.responses import LoadedModels
from app.matching.calibration import Calibration

router = APIRouter(prefix="/models", tags=["models"], dependencies=[needs(None)], responses=PROBLEMS)


@router.get("")
async def list_models(services: ServicesOf) -> LoadedModels:
    """The networks that are loaded, their digests, and the execution provider really in use."""
    return loaded_models(services.models)


@router.get("/{model}/calibration")
async def get_calibration(model: Id, services: ServicesOf) -> Calibration:
    """The model's error rates by threshold, per cohort where measured, and the data that they were measured on."""
    return services.models.calibration_of(model)
