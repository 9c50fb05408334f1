"""Enrol the faces of a subject, and compare a face with them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from app.api import requests, responses
from app.api.dependencies import (
    ActorDep,
    CallerDep,
    Id,
    IdempotencyKey,
    PresenterDep,
    ServicesDep,
    TimerDep,
    images,
    require_scope,
)
from app.api.image_fields import MAX_IMAGES, ImageField
from app.api.openapi import PROBLEMS, request_body
from app.api.presenters.enrolled import enrolled_faces
from app.api.routes.erasure import ERASED, erased
from app.api.uploads import Submission
from app.api.vectors import given_faces
from app.domain.identity import Scope

router = APIRouter(prefix="/galleries/{gallery}/subjects/{subject}", tags=["galleries"], responses=PROBLEMS)
FACE = ImageField("image", embeddings=("embedding",))
FACES = ImageField("image", MAX_IMAGES, embeddings=("embedding", "embeddings"))
ENROLL, ERASE, VERIFY = ([require_scope(scope)] for scope in (Scope.ENROLL, Scope.ERASE, Scope.VERIFY))


@router.post(
    "/faces",
    dependencies=ENROLL,
    status_code=201,
    openapi_extra=request_body(requests.EnrollFields, FACES),
)
async def enroll_faces(
    gallery: Id,
    subject: Id,
    submission: Annotated[Submission, Depends(images(FACES))],
    services: ServicesDep,
    timer: TimerDep,
    presenter: PresenterDep,
    caller: CallerDep,
    actor: ActorDep,
    idempotency_key: IdempotencyKey = None,
) -> responses.Enrollment:
    """
    Enrol one face per image or vector, creating gallery and subject as needed. With 201 the faces are on the disk.
    """
    fields = submission.parse(requests.EnrollFields)
    outcome = await services.enrollment.enroll(
        gallery,
        subject,
        given_faces(submission, fields, [FACES], services.vectors, caller),
        fields.face,
        idempotency_key=idempotency_key,
        present=presenter.enrollment,
        timer=timer,
        caller=caller,
        by=actor,
        on_duplicate=fields.on_duplicate,
    )
    return responses.Enrollment(**outcome.answer)


@router.get("/faces", dependencies=ENROLL)
async def list_faces(gallery: Id, subject: Id, services: ServicesDep) -> responses.EnrolledFaces:
    return enrolled_faces(await services.galleries.faces(gallery, subject))


@router.delete("/faces/{face}", dependencies=ERASE, status_code=204, responses=ERASED)
async def delete_face(gallery: Id, subject: Id, face: Id, services: ServicesDep, actor: ActorDep) -> Response:
    return erased(await services.galleries.delete_face(gallery, subject, face, actor))


@router.post("/verify", dependencies=VERIFY, openapi_extra=request_body(requests.ClaimFields, FACE))
async def verify_subject(
    gallery: Id,
    subject: Id,
    submission: Annotated[Submission, Depends(images(FACE))],
    services: ServicesDep,
    timer: TimerDep,
    presenter: PresenterDep,
    caller: CallerDep,
    actor: ActorDep,
) -> responses.SubjectVerification:
    """Is this photo or vector of the subject? The nearest enrolled face decides; the distance is rounded."""
    fields = submission.parse(requests.ClaimFields)
    (face,) = given_faces(submission, fields, [FACE], services.vectors, caller)
    result = await services.verification.subject(
        face,
        fields.face,
        gallery,
        subject,
        caller=caller,
        fmr=fields.fmr,
        threshold=fields.threshold,
        timer=timer,
    )
    await services.galleries.audit_search(actor, "subject.verify", gallery, [subject])
    return presenter.subject_verification(result, subject)
