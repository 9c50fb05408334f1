"""Who is enrolled: /galleries and everything below it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Query, Response

from app.api import requests, responses
from app.api.dependencies import (
    MAX_IMAGES,
    ActorOf,
    CallerOf,
    Id,
    PresenterOf,
    ServicesOf,
    Timer,
    documented,
    images,
    needs,
)
from app.api.openapi import PROBLEMS
from app.api.presenters import enrolled_faces, subject_file
from app.api.uploads import Submission
from app.domain.identity import Scope

router = APIRouter(prefix="/galleries", tags=["galleries"], responses=PROBLEMS)
SUBJECT = "/{gallery}/subjects/{subject}"
MAX_PAGE = 1000
ENROLL, ADMIN, VERIFY = ([needs(scope)] for scope in (Scope.ENROLL, Scope.ADMIN, Scope.VERIFY))


@router.get("", dependencies=ENROLL)
async def list_galleries(services: ServicesOf, caller: CallerOf) -> responses.Galleries:
    """Those that the caller's key is for."""
    galleries = [each for each in await services.galleries.all() if caller.may_use(each.id)]
    return responses.Galleries(galleries=[responses.GalleryOut.of(gallery) for gallery in galleries])


@router.put(
    "/{gallery}", dependencies=ENROLL, responses={201: {"model": responses.GalleryOut, "description": "Created"}}
)
async def put_gallery(gallery: Id, services: ServicesOf, actor: ActorOf, response: Response) -> responses.GalleryOut:
    """Creates it where it is not there; 201 then, 200 otherwise."""
    info, made = await services.galleries.create(gallery, actor)
    response.status_code = 201 if made else 200
    return responses.GalleryOut.of(info)


@router.get("/{gallery}", dependencies=ENROLL)
async def get_gallery(gallery: Id, services: ServicesOf) -> responses.GalleryOut:
    return responses.GalleryOut.of(await services.galleries.get(gallery))


@router.delete("/{gallery}", dependencies=ADMIN, status_code=204)
async def delete_gallery(gallery: Id, services: ServicesOf, actor: ActorOf) -> None:
    """With every subject and face in it."""
    await services.galleries.delete(gallery, actor)


@router.get("/{gallery}/subjects", dependencies=ENROLL)
async def list_subjects(
    gallery: Id,
    services: ServicesOf,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    cursor: Annotated[str, Query(max_length=128, description="`next_cursor` of the page before.")] = "",
) -> responses.Subjects:
    """In order of id; a cursor stays good when subjects come and go."""
    found = await services.galleries.subjects(gallery, limit + 1, cursor)
    page = [responses.SubjectOut.of(subject) for subject in found[:limit]]
    return responses.Subjects(subjects=page, next_cursor=page[-1].subject_id if len(found) > limit else None)


@router.get(SUBJECT, dependencies=ENROLL)
async def get_subject(gallery: Id, subject: Id, services: ServicesOf) -> responses.SubjectOut:
    return responses.SubjectOut.of(await services.galleries.subject(gallery, subject))


@router.put(SUBJECT, dependencies=ENROLL, responses={201: {"model": responses.SubjectOut, "description": "Created"}})
async def put_subject(
    gallery: Id,
    subject: Id,
    services: ServicesOf,
    actor: ActorOf,
    response: Response,
    asked: Annotated[requests.SubjectFields | None, Body()] = None,
) -> responses.SubjectOut:
    """Sets its metadata, creating subject and gallery as needed; 201 where the subject is new."""
    metadata = asked.metadata if asked else None
    info, made = await services.galleries.put_subject(gallery, subject, metadata, actor)
    response.status_code = 201 if made else 200
    return responses.SubjectOut.of(info)


@router.delete(SUBJECT, dependencies=ENROLL, status_code=204)
async def delete_subject(gallery: Id, subject: Id, services: ServicesOf, actor: ActorOf) -> None:
    """With every face of it: erased, not only hidden."""
    await services.galleries.delete_subject(gallery, subject, actor)


@router.get(SUBJECT + "/export", dependencies=ADMIN)
async def export_subject(gallery: Id, subject: Id, services: ServicesOf, actor: ActorOf) -> responses.SubjectExport:
    """All that is kept of a subject: metadata, faces with their vectors, and what the audit log says of it."""
    return subject_file(await services.galleries.export_subject(gallery, subject, actor))


@router.post(
    SUBJECT + "/faces",
    dependencies=ENROLL,
    status_code=201,
    response_model=responses.Enrollment,
    openapi_extra=documented(requests.FaceFields, "image", most=MAX_IMAGES),
)
async def enroll(
    gallery: Id,
    subject: Id,
    submission: Annotated[Submission, Depends(images("image", most=MAX_IMAGES))],
    services: ServicesOf,
    timer: Timer,
    presenter: PresenterOf,
    actor: ActorOf,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> dict[str, Any]:
    """One face an image, creating gallery and subject as needed; what is answered with 201 is on disk."""
    asked = submission.parse(requests.FaceFields)
    return await services.enrollment.enroll(
        gallery,
        subject,
        submission.uploads,
        asked.face,
        key=idempotency_key,
        shape=presenter.enrollment,
        timer=timer,
        by=actor,
    )


@router.get(SUBJECT + "/faces", dependencies=ENROLL)
async def list_faces(gallery: Id, subject: Id, services: ServicesOf) -> responses.EnrolledFaces:
    return enrolled_faces(await services.galleries.faces(gallery, subject))


@router.delete(SUBJECT + "/faces/{face}", dependencies=ENROLL, status_code=204)
async def delete_face(gallery: Id, subject: Id, face: Id, services: ServicesOf, actor: ActorOf) -> None:
    await services.galleries.delete_face(gallery, subject, face, actor)


@router.post(SUBJECT + "/verify", dependencies=VERIFY, openapi_extra=documented(requests.VerifyFields, "image"))
async def verify_subject(
    gallery: Id,
    subject: Id,
    submission: Annotated[Submission, Depends(images("image"))],
    services: ServicesOf,
    timer: Timer,
    presenter: PresenterOf,
    actor: ActorOf,
) -> responses.SubjectVerification:
    """Is this photo of the subject? Against its nearest enrolled face."""
    asked = submission.parse(requests.VerifyFields)
    verified = await services.verification.subject(
        submission.uploads[0],
        asked.face,
        gallery,
        subject,
        fmr=asked.fmr,
        threshold=asked.threshold,
        timer=timer,
    )
    await services.galleries.audit_search(actor, "subject.verify", gallery, [subject])
    return presenter.subject_verification(verified, subject)
