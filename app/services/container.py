"""The services and the networks that request handlers use."""

from __future__ import annotations

from dataclasses import dataclass

from app.access.authenticator import Authenticator
from app.concurrency.worker_pool import WorkerPool
from app.domain.errors import NotFound
from app.domain.ports import Detector, Embedder, ThresholdOffsets
from app.faces.liveness import CropLiveness
from app.inference.manifest import DetectorManifest, EmbedderManifest
from app.matching.calibration import Calibration
from app.matching.score_release import ScoreReleasePolicy
from app.matching.threshold_policy import ThresholdPolicy
from app.services.enrollment import Enrollment
from app.services.extraction import Extraction
from app.services.galleries import Galleries
from app.services.gallery_import import GalleryImport
from app.services.grouping import Grouping
from app.services.identification import Identification
from app.services.vectors import Vectors
from app.services.verification import Verification


@dataclass(frozen=True, slots=True)
class Models:
    """The networks in use with their manifests, threshold offsets, calibration and execution provider."""

    detector: Detector
    detector_manifest: DetectorManifest
    embedder: Embedder
    embedder_manifest: EmbedderManifest
    offsets: ThresholdOffsets
    calibration: Calibration | None
    provider: str
    liveness: CropLiveness | None = None
    """None unless the service was started with it."""

    @property
    def detector_provider(self) -> str:
        """The provider of the detector's and the liveness networks, which never run on OpenVINO."""
        return "cpu" if self.provider == "openvino" else self.provider

    def calibration_of(self, model_id: str) -> Calibration:
        """Raises NotFound if no such model is loaded or it has no calibration."""
        if model_id != self.embedder_manifest.id or self.calibration is None:
            raise NotFound(f"no calibration of a model {model_id!r}")
        return self.calibration


@dataclass(frozen=True, slots=True)
class Services:
    models: Models
    policy: ThresholdPolicy
    release: ScoreReleasePolicy
    extraction: Extraction
    verification: Verification
    identification: Identification
    enrollment: Enrollment
    galleries: Galleries
    grouping: Grouping
    gallery_import: GalleryImport
    vectors: Vectors
    authenticator: Authenticator
    has_replicas: bool
    """True if other machines may serve the same galleries."""
    body_workers: WorkerPool
    """The thread that parses JSON bodies: one at a time, since parsing holds the interpreter's lock."""
