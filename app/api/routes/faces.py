"""Analyze photos: /verify, /identify, /detect, /embed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from app.api import requests, responses
from app.api.dependencies import (
    MAX_IMAGES,
    ActorDep,
    CallerDep,
    PresenterDep,
    ServicesDep,
    TimerDep,
    images,
    require_scope,
)
from app.api.openapi import PROBLEMS, request_body
from app.api.uploads import Submission
from app.domain.identity import Scope

router = APIRouter(tags=["faces"], responses=PROBLEMS)
PAIR = ("image1", "image2")


@router.post(
    "/verify",
    dependencies=[require_scope(Scope.VERIFY)],
    openapi_extra=request_body(requests.VerifyFields, *PAIR),
)
async def verify(
    submission: Annotated[Submission, Depends(images(*PAIR))],
    services: ServicesDep,
    timer: TimerDep,
    presenter: PresenterDep,
) -> responses.Verification:
    """Are these two photos of one person?"""
    fields = submission.parse(requests.VerifyFields)
    result = await services.verification.pair(
        submission.photos(fields.orientation, fields.liveness),
        fields.face,
        fmr=fields.fmr,
        threshold=fields.threshold,
        timer=timer,
    )
    return presenter.verification(result, PAIR)


@router.post(
    "/identify",
    dependencies=[require_scope(Scope.IDENTIFY)],
    openapi_extra=request_body(requests.IdentifyFields, "image"),
)
async def identify(
    submission: Annotated[Submission, Depends(images("image"))],
    services: ServicesDep,
    timer: TimerDep,
    presenter: PresenterDep,
    caller: CallerDep,
    actor: ActorDep,
) -> responses.Identification:
    """Who of the enrolled people is this, if anyone?"""
    fields = submission.parse(requests.IdentifyFields)
    caller.require_gallery(fields.gallery)
    result = await services.identification.identify(
        submission.photos(fields.orientation, fields.liveness)[0],
        fields.selection,
        fields.gallery,
        caller=caller,
        top_k=fields.top_k,
        fpir=fields.fpir,
        threshold=fields.threshold,
        timer=timer,
    )
    await services.galleries.audit_search(actor, "subject.identify", fields.gallery, result.subject_ids)
    return presenter.identification(result)


@router.post(
    "/detect",
    dependencies=[require_scope(Scope.VERIFY)],
    openapi_extra=request_body(requests.PhotoFields, "image"),
)
async def detect(
    submission: Annotated[Submission, Depends(images("image"))],
    services: ServicesDep,
    timer: TimerDep,
    presenter: PresenterDep,
) -> responses.Detection:
    """The faces of a photo, largest first, or an empty list. `faces_found` also counts faces beyond the limit."""
    fields = submission.parse(requests.PhotoFields)
    photo = await services.extraction.read(submission.photos(fields.orientation)[0], "all", timer)
    return presenter.detection(photo)


@router.post(
    "/embed",
    dependencies=[require_scope(Scope.EMBED)],
    openapi_extra=request_body(requests.SelectionFields, "image", max_each=MAX_IMAGES),
)
async def embed(
    submission: Annotated[Submission, Depends(images("image", max_each=MAX_IMAGES))],
    services: ServicesDep,
    timer: TimerDep,
    presenter: PresenterDep,
) -> responses.Embeddings:
    """A unit vector per face; one result per image, in order. An image that fails does not affect the others."""
    fields = submission.parse(requests.SelectionFields)
    photos = await services.extraction.read_and_embed(submission.photos(fields.orientation), fields.selection, timer)
    return presenter.embeddings(photos)
