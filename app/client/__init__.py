"""
A client of the HTTP API, sync and async, with typed results. It imports httpx and
httpx-retries, and none of the server's packages.

    with Client("https://likeness.example", key="lk_...") as likeness:
        if likeness.verify("passport.jpg", "selfie.jpg", fmr=1e-5).match:
            ...
"""

from app.client.asynchronous import AsyncClient
from app.client.problem import Problem
from app.client.results import (
    Candidate,
    Detection,
    EmbeddedFace,
    EmbeddedPhoto,
    Embeddings,
    EnrolledFace,
    Enrollment,
    Face,
    Gallery,
    Identification,
    IdentifiedFace,
    Quality,
    RejectedPhoto,
    Subject,
    SubjectPage,
    Threshold,
    Verification,
)
from app.client.sync import Client

__all__ = [
    "AsyncClient",
    "Candidate",
    "Client",
    "Detection",
    "EmbeddedFace",
    "EmbeddedPhoto",
    "Embeddings",
    "EnrolledFace",
    "Enrollment",
    "Face",
    "Gallery",
    "Identification",
    "IdentifiedFace",
    "Problem",
    "Quality",
    "RejectedPhoto",
    "Subject",
    "SubjectPage",
    "Threshold",
    "Verification",
]
