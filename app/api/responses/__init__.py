"""The bodies of responses in the HTTP contract."""

from app.api.responses.enrollment import DuplicateOut, EnrolledFace, EnrolledFaces, Enrollment, NewFace, RejectedImage
from app.api.responses.export import ExportedFace, SavedResponse, SubjectExport
from app.api.responses.faces import FaceOrVectorOut, FaceOut, Judged, LivenessOut, ModelOut
from app.api.responses.galleries import GalleryDetail, GalleryList, GalleryOut, ReEmbeddingOut, SubjectOut, SubjectPage
from app.api.responses.grouping import Clustering
from app.api.responses.identification import (
    CandidateOut,
    Identification,
    IdentifiedFace,
    SearchedGallery,
    SearchThreshold,
)
from app.api.responses.models import LoadedModel, LoadedModels
from app.api.responses.photos import DetectedFace, Detection, EmbeddedFace, Embeddings, EmbedResult, ImageSize
from app.api.responses.problems import Problem
from app.api.responses.service import AuditPage, Health, PendingErasure, Readiness
from app.api.responses.verification import (
    ComparedPhoto,
    OneToMany,
    PairThreshold,
    SubjectVerification,
    ThresholdOut,
    Verification,
    VerifiedFace,
    threshold_members,
)

__all__ = [
    "AuditPage",
    "CandidateOut",
    "Clustering",
    "ComparedPhoto",
    "DetectedFace",
    "Detection",
    "DuplicateOut",
    "EmbedResult",
    "EmbeddedFace",
    "Embeddings",
    "EnrolledFace",
    "EnrolledFaces",
    "Enrollment",
    "ExportedFace",
    "FaceOrVectorOut",
    "FaceOut",
    "GalleryDetail",
    "GalleryList",
    "GalleryOut",
    "Health",
    "Identification",
    "IdentifiedFace",
    "ImageSize",
    "Judged",
    "LivenessOut",
    "LoadedModel",
    "LoadedModels",
    "ModelOut",
    "NewFace",
    "OneToMany",
    "PairThreshold",
    "PendingErasure",
    "Problem",
    "ReEmbeddingOut",
    "Readiness",
    "RejectedImage",
    "SavedResponse",
    "SearchThreshold",
    "SearchedGallery",
    "SubjectExport",
    "SubjectOut",
    "SubjectPage",
    "SubjectVerification",
    "ThresholdOut",
    "Verification",
    "VerifiedFace",
    "threshold_members",
]
