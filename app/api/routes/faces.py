"""Analyze photos: /verify, /compare, /identify, /detect, /embed, /cluster."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from app.api import requests, responses
from app.api.dependencies import (
    ActorDep,
    CallerDep,
    PresenterDep,
    ServicesDep,
    TimerDep,
    images,
    require_scope,
)
from app.api.image_fields import MAX_CLUSTERED, MAX_IMAGES, ImageField
from app.api.openapi import PROBLEMS, request_body
from app.api.request_route import RequestRoute
from app.api.uploads import Submission
from app.api.vectors import given_faces
from app.domain.errors import TooManyFields
from app.domain.identity import Scope

router = APIRouter(tags=["faces"], responses=PROBLEMS, route_class=RequestRoute)
IMAGE = ImageField("image")
OTHERS = ImageField("others", MAX_IMAGES, too_many=TooManyFields)
PHOTOS = ImageField("image", MAX_CLUSTERED, too_many=TooManyFields)
IMAGES = ImageField("image", MAX_IMAGES)
FACE = ImageField("image", embeddings=("embedding",))
PAIR = tuple(ImageField(f"image{number}", embeddings=(f"embedding{number}",)) for number in (1, 2))


@router.post(
    "/verify",
    dependencies=[require_scope(Scope.VERIFY)],
    openapi_extra=request_body(requests.PairFields, *PAIR),
)
async def verify(
    submission: Annotated[Submission, Depends(images(*PAIR))],
    services: ServicesDep,
    timer: TimerDep,
    presenter: PresenterDep,
    caller: CallerDep,
) -> responses.Verification:
    """Are these two photos of one person? A vector of /embed may take the place of each."""
    fields = submission.parse(requests.PairFields)
    faces = given_faces(submission, fields, PAIR, services.vectors, caller)
    result = await services.verification.pair(
        faces, fields.face, fmr=fields.fmr, threshold=fields.threshold, timer=timer
    )
    return presenter.verification(result, [image.name for image in PAIR])


@router.post(
    "/compare",
    dependencies=[require_scope(Scope.VERIFY)],
    openapi_extra=request_body(requests.VerifyFields, IMAGE, OTHERS),
)
async def compare(
    submission: Annotated[Submission, Depends(images(IMAGE, OTHERS))],
    services: ServicesDep,
    timer: TimerDep,
    presenter: PresenterDep,
) -> responses.OneToMany:
    """Which of these other photos are of the same person? Each is compared by itself, with its own threshold."""
    fields = submission.parse(requests.VerifyFields)
    image, *others = submission.photos(fields.orientation, fields.liveness)
    result = await services.verification.one_to_many(
        image, others, fields.face, fmr=fields.fmr, threshold=fields.threshold, timer=timer
    )
    return presenter.one_to_many(result)


@router.post(
    "/identify",
    dependencies=[require_scope(Scope.IDENTIFY)],
    openapi_extra=request_body(requests.IdentifyFields, FACE),
)
async def identify(
    submission: Annotated[Submission, Depends(images(FACE))],
    services: ServicesDep,
    timer: TimerDep,
    presenter: PresenterDep,
    caller: CallerDep,
    actor: ActorDep,
) -> responses.Identification:
    """Who of the enrolled people is this, if anyone?"""
    fields = submission.parse(requests.IdentifyFields)
    caller.require_gallery(fields.gallery)
    (face,) = given_faces(submission, fields, [FACE], services.vectors, caller)
    result = await services.identification.identify(
        face,
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
    openapi_extra=request_body(requests.DetectFields, IMAGE),
)
async def detect(
    submission: Annotated[Submission, Depends(images(IMAGE))],
    services: ServicesDep,
    timer: TimerDep,
    presenter: PresenterDep,
) -> responses.Detection:
    """The faces of a photo, largest first, or an empty list. `faces_found` also counts faces beyond the limit."""
    fields = submission.parse(requests.DetectFields)
    photo = await services.extraction.read(submission.photos(fields.orientation)[0], "all", timer)
    return presenter.detection(photo, await services.extraction.thumbnails(photo) if fields.crops else ())


@router.post(
    "/embed",
    dependencies=[require_scope(Scope.EMBED)],
    openapi_extra=request_body(requests.SelectionFields, IMAGES),
)
async def embed(
    submission: Annotated[Submission, Depends(images(IMAGES))],
    services: ServicesDep,
    timer: TimerDep,
    presenter: PresenterDep,
) -> responses.Embeddings:
    """A unit vector per face; one result per image, in order. An image that fails does not affect the others."""
    fields = submission.parse(requests.SelectionFields)
    photos = await services.extraction.read_and_embed(submission.photos(fields.orientation), fields.selection, timer)
    return presenter.embeddings(photos)


@router.post(
    "/cluster",
    dependencies=[require_scope(Scope.VERIFY)],
    openapi_extra=request_body(requests.ThresholdFields, PHOTOS),
)
async def cluster(
    submission: Annotated[Submission, Depends(images(PHOTOS))],
    services: ServicesDep,
    timer: TimerDep,
    presenter: PresenterDep,
) -> responses.Clustering:
    """Which of these photos are of one person? One face of each photo is used; nobody is enrolled or named."""
    fields = submission.parse(requests.ThresholdFields)
    result = await services.grouping.group(
        submission.photos(fields.orientation), fields.face, fmr=fields.fmr, threshold=fields.threshold, timer=timer
    )
    return presenter.groups(result)
