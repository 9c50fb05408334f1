"""Shape the loaded networks and their calibrations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.api import responses
from app.domain.comparisons import rounded_rate
from app.matching.calibration import Calibration
from app.matching.score_release import DISTANCE_STEP
from app.services.container import Models


def loaded_models(models: Models, max_threshold: float) -> responses.LoadedModels:
    return responses.LoadedModels(
        models=[_loaded_embedder(models), _loaded_detector(models), *_loaded_liveness(models)],
        distance_step=DISTANCE_STEP,
        max_threshold=max_threshold,
    )


def _loaded_embedder(models: Models) -> responses.LoadedModel:
    manifest = models.embedder_manifest
    return responses.LoadedModel(
        id=manifest.id,
        kind=manifest.kind,
        digest=manifest.file.digest,
        license=manifest.license,
        provider=models.provider,
        dimension=manifest.dimension,
        crop_size=manifest.crop_size,
        threshold_offset=manifest.offset_digest,
        calibrated=models.calibration is not None,
    )


def _loaded_detector(models: Models) -> responses.LoadedModel:
    manifest = models.detector_manifest
    return responses.LoadedModel(
        id=manifest.id,
        kind=manifest.kind,
        digest=manifest.digest,
        license=manifest.license,
        provider=models.detector_provider,
    )


def _loaded_liveness(models: Models) -> Iterator[responses.LoadedModel]:
    if models.liveness:
        manifest = models.liveness.manifest
        yield responses.LoadedModel(
            id=manifest.id,
            kind=manifest.kind,
            digest=manifest.file.digest,
            license=manifest.license,
            provider=models.detector_provider,
            crop_size=manifest.crop_size,
            liveness_threshold=models.liveness.threshold,
        )


def calibration_table(calibration: Calibration) -> Calibration:
    """Return the calibration as it is shown, without the last digits of computed rates."""
    return Calibration.model_validate(_all_rounded(calibration.model_dump()))


def _all_rounded(value: Any) -> Any:
    match value:
        case dict():
            return {name: _all_rounded(each) for name, each in value.items()}
        case list() | tuple():
            return [_all_rounded(each) for each in value]
        case float():
            return rounded_rate(value)
    return value
