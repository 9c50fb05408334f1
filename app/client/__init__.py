"""
A client of the HTTP API, sync and async, with typed results. It imports httpx and
httpx-retries, and none of the server's packages.

    with Client("https://likeness.example", key="lk_...") as likeness:
        if likeness.verify("passport.jpg", "selfie.jpg", fmr=1e-5).match:
            ...
"""

from app.client.asynchronous import AsyncClient
from app.client.faces import Photo, Vector
from app.client.problem import Problem
from app.client.records import (
    Duplicate,
    EnrolledFace,
    Enrollment,
    ExportedFace,
    Gallery,
    ImportedLine,
    Subject,
    SubjectExport,
    SubjectPage,
)
from app.client.results import (
    Candidate,
    Clustering,
    ComparedPhoto,
    Detection,
    EmbeddedFace,
    EmbeddedPhoto,
    Embeddings,
    Face,
    Identification,
    IdentifiedFace,
    Liveness,
    OneToMany,
    Quality,
    RejectedPhoto,
    Threshold,
    Verification,
)
from app.client.sync import Client

__all__ = [
    "AsyncClient",
    "Candidate",
    "Client",
    "Clustering",
    "ComparedPhoto",
    "Detection",
    "Duplicate",
    "EmbeddedFace",
    "EmbeddedPhoto",
    "Embeddings",
    "EnrolledFace",
    "Enrollment",
    "ExportedFace",
    "Face",
    "Gallery",
    "Identification",
    "IdentifiedFace",
    "ImportedLine",
    "Liveness",
    "OneToMany",
    "Photo",
    "Problem",
    "Quality",
    "RejectedPhoto",
    "Subject",
    "SubjectExport",
    "SubjectPage",
    "Threshold",
    "Vector",
    "Verification",
]
