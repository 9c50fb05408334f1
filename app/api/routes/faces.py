"""Questions about photos: /verify, /identify, /detect, /embed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from app.api import requests, responses
from app.api.dependencies import (
    MAX_IMAGES,
    ActorOf,
    CallerOf,
    PresenterOf,
    ServicesOf,
    Timer,
    documented,
    images,
    needs,
)
from app.api.openapi import PROBLEMS
from app.api.uploads import Submission
from app.domain.errors import LikenessError
from app.domain.identity import Scope

router = APIRouter(tags=["faces"], responses=PROBLEMS)
PAIR = ("image1", "image2")


@router.post("/verify", dependencies=[needs(Scope.VERIFY)], openapi_extra=documented(requests.VerifyFields, *PAIR))
async def verify(
    submission: Annotated[Submission, Depends(images(*PAIR))],
    services: ServicesOf,
    timer: Timer,
    presenter: PresenterOf,
) -> responses.Verification:
    """Are these two photos of one person?"""
    asked = submission.parse(requests.VerifyFields)
    verified = await services.verification.pair(
        submission.uploads, asked.face, fmr=asked.fmr, threshold=asked.threshold, timer=timer
    )
    return presenter.verification(verified, PAIR)


@router.post(
    "/identify", dependencies=[needs(Scope.IDENTIFY)], openapi_extra=documented(requests.IdentifyFields, "image")
)
async def identify(
    submission: Annotated[Submission, Depends(images("image"))],
    services: ServicesOf,
    timer: Timer,
    presenter: PresenterOf,
    caller: CallerOf,
    actor: ActorOf,
) -> responses.Identification:
    """Who of the enrolled people is this, if anyone?"""
    asked = submission.parse(requests.IdentifyFields)
    caller.require_gallery(asked.gallery)
    found = await services.identification.identify(
        submission.uploads[0],
        "all" if asked.faces == "all" else asked.face,
        asked.gallery,
        top_k=asked.top_k,
        fpir=asked.fpir,
        threshold=asked.threshold,
        timer=timer,
    )
    named = [candidate.subject_id for candidates in found.candidates for candidate in candidates]
    await services.galleries.audit_search(actor, "subject.identify", asked.gallery, named)
    return presenter.identification(found)


@router.post("/detect", dependencies=[needs(Scope.VERIFY)], openapi_extra=documented(requests.NoFields, "image"))
async def detect(
    submission: Annotated[Submission, Depends(images("image"))],
    services: ServicesOf,
    timer: Timer,
    presenter: PresenterOf,
) -> responses.Detection:
    """The faces of a photo, largest first; none is an empty list. `faces_found` counts all, also of very many."""
    submission.parse(requests.NoFields)
    photo = await services.extraction.read(submission.uploads[0], "all", timer)
    return presenter.detection(photo)


@router.post(
    "/embed",
    dependencies=[needs(Scope.VERIFY)],
    openapi_extra=documented(requests.EmbedFields, "image", most=MAX_IMAGES),
)
async def embed(
    submission: Annotated[Submission, Depends(images("image", most=MAX_IMAGES))],
    services: ServicesOf,
    timer: Timer,
    presenter: PresenterOf,
) -> responses.Embeddings:
    """A unit vector a face; one result an image, in order, and an image that fails does not spoil the others."""
    asked = submission.parse(requests.EmbedFields)
    wanted = "all" if asked.faces == "all" else asked.face
    photos = await services.extraction.read_all(submission.uploads, wanted, timer)
    probes = await services.extraction.embed([s for s in photos if not isinstance(s, LikenessError)], timer)
    return presenter.embeddings(photos, probes)
