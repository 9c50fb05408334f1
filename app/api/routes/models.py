"""The networks in use: /models and their calibrations."""

from __future__ import annotations

from fastapi import APIRouter

from app.api.dependencies import Id, ServicesDep, require_scope
from app.api.openapi import PROBLEMS
from app.api.presenters.models import calibration_table, loaded_models
from app.api.responses import LoadedModels
from app.matching.calibration import Calibration

router = APIRouter(prefix="/models", tags=["models"], dependencies=[require_scope(None)], responses=PROBLEMS)


@router.get("")
async def list_models(services: ServicesDep) -> LoadedModels:
    """The loaded networks with their digests and the execution provider that runs them."""
    return loaded_models(services.models, services.release.max_threshold)


@router.get("/{model}/calibration")
async def get_calibration(model: Id, services: ServicesDep) -> Calibration:
    """The error rates of a model by threshold, for cohorts if they were measured, and the data that was used."""
    return calibration_table(services.models.calibration_of(model))
