"""Manage galleries, subjects and enrolled faces: /galleries and everything below it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from app.api import requests, responses
from app.api.cursors import cursor_of, subject_behind
from app.api.dependencies import (
    ActorDep,
    CallerDep,
    Id,
    IdempotencyKey,
    PresenterDep,
    ServicesDep,
    TimerDep,
    images,
    json_fields,
    require_scope,
)
from app.api.image_fields import MAX_IMAGES, ImageField
from app.api.ndjson import ImportAnswers
from app.api.openapi import PROBLEMS, json_body, ndjson_answers, ndjson_body, request_body
from app.api.presenters.enrolled import enrolled_faces, subject_export
from app.api.problems import ProblemContext
from app.api.uploads import F, Submission
from app.api.vectors import given_faces
from app.domain.errors import InvalidRequest
from app.domain.identity import Scope

router = APIRouter(prefix="/galleries", tags=["galleries"], responses=PROBLEMS)
SUBJECT = "/{gallery}/subjects/{subject}"
MAX_PAGE = 1000
FACE = ImageField("image", embeddings=("embedding",))
FACES = ImageField("image", MAX_IMAGES, embeddings=("embedding", "embeddings"))
ERASED: dict[int | str, dict[str, Any]] = {
    204: {"description": "Erased: nothing of it is left in any file"},
    202: {"model": responses.PendingErasure, "description": "Deleted; a reader still holds old pages on the disk"},
}
ENROLL, ERASE, EXPORT, VERIFY, ADMIN = (
    [require_scope(scope)] for scope in (Scope.ENROLL, Scope.ERASE, Scope.EXPORT, Scope.VERIFY, Scope.ADMIN)
)


@router.get("", dependencies=ENROLL)
async def list_galleries(services: ServicesDep, caller: CallerDep) -> responses.GalleryList:
    """The galleries that the caller has access to."""
    galleries = [each for each in await services.galleries.all() if caller.may_use(each.id)]
    return responses.GalleryList(galleries=[responses.GalleryOut.of(gallery) for gallery in galleries])


@router.put(
    "/{gallery}", dependencies=ENROLL, responses={201: {"model": responses.GalleryOut, "description": "Created"}}
)
async def put_gallery(gallery: Id, services: ServicesDep, actor: ActorDep, response: Response) -> responses.GalleryOut:
    """Create a gallery: 201 if it is new, 200 if it existed."""
    info, created = await services.galleries.create(gallery, actor)
    response.status_code = 201 if created else 200
    return responses.GalleryOut.of(info)


@router.get("/{gallery}", dependencies=ENROLL)
async def get_gallery(gallery: Id, services: ServicesDep) -> responses.GalleryDetail:
    """A gallery, whether it keeps crops, and how far a re-embedding is, if one has begun."""
    info, crops = await services.galleries.get_with_crops(gallery)
    return responses.GalleryDetail.with_crops(info, crops, keeps_crops=services.enrollment.keeps_crops)


@router.delete("/{gallery}", dependencies=ADMIN, status_code=204, responses=ERASED)
async def delete_gallery(gallery: Id, services: ServicesDep, actor: ActorDep) -> Response:
    """Delete a gallery with all its subjects and faces."""
    return _erased(await services.galleries.delete(gallery, actor))


@router.post(
    "/{gallery}/import",
    dependencies=[*ENROLL, require_scope(Scope.EMBED)],
    response_class=Response,
    responses=ndjson_answers("An answer a line, in order"),
    openapi_extra=ndjson_body("The lines of an exported gallery, in UTF-8"),
)
async def import_gallery(gallery: Id, request: Request, services: ServicesDep, actor: ActorDep) -> Response:
    """
    Add subjects with their faces: the lines that `likeness gallery export` writes. The answer to a line has its number
    and `created`, `updated`, `exists`, `expired` or `error`; what was answered is on the disk.
    """
    lines, model = await services.gallery_import.begin(request.stream())
    return ImportAnswers(services.gallery_import.results(gallery, lines, model, actor), ProblemContext.of(request))


@router.get("/{gallery}/subjects", dependencies=ENROLL)
async def list_subjects(
    gallery: Id,
    services: ServicesDep,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    cursor: Annotated[str, Query(description="`next_cursor` of the previous page.")] = "",
) -> responses.SubjectPage:
    """Subjects in order of their ids; a cursor stays valid while subjects are added and deleted."""
    found = await services.galleries.subjects(gallery, limit + 1, subject_behind(cursor))
    page = [responses.SubjectOut.of(subject) for subject in found[:limit]]
    next_cursor = cursor_of(page[-1].subject_id) if len(found) > limit else None
    return responses.SubjectPage(subjects=page, next_cursor=next_cursor)


@router.get(SUBJECT, dependencies=ENROLL)
async def get_subject(gallery: Id, subject: Id, services: ServicesDep) -> responses.SubjectOut:
    return responses.SubjectOut.of(await services.galleries.subject(gallery, subject))


@router.put(
    SUBJECT,
    dependencies=ENROLL,
    responses={201: {"model": responses.SubjectOut, "description": "Created"}},
    openapi_extra=json_body(requests.SubjectFields),
)
async def put_subject(
    gallery: Id,
    subject: Id,
    services: ServicesDep,
    actor: ActorDep,
    response: Response,
    fields: Annotated[requests.SubjectFields | None, Depends(json_fields(requests.SubjectFields))],
) -> responses.SubjectOut:
    """Describe a subject, creating subject and gallery as needed: 201 if the subject is new."""
    given = fields or requests.SubjectFields()
    info, created = await services.galleries.put_subject(
        gallery, subject, given.metadata, actor, consent=given.consent, expires_at=given.expires_at
    )
    response.status_code = 201 if created else 200
    return responses.SubjectOut.of(info)


@router.patch(SUBJECT, dependencies=ENROLL, openapi_extra=json_body(requests.UpdateFields, required=True))
async def update_subject(
    gallery: Id,
    subject: Id,
    services: ServicesDep,
    actor: ActorDep,
    fields: Annotated[requests.UpdateFields | None, Depends(json_fields(requests.UpdateFields))],
) -> responses.SubjectOut:
    """Change a subject that exists. A new `id` renames it: it keeps its faces, and its earlier id is free again."""
    given = _required(fields)
    info = await services.galleries.update_subject(
        gallery, subject, given.id, given.metadata, actor, consent=given.consent, expires_at=given.expires_at
    )
    return responses.SubjectOut.of(info)


@router.post(
    SUBJECT + "/merge",
    dependencies=[*ENROLL, *ERASE],
    openapi_extra=json_body(requests.MergeFields, required=True),
)
async def merge_subjects(
    gallery: Id,
    subject: Id,
    services: ServicesDep,
    actor: ActorDep,
    fields: Annotated[requests.MergeFields | None, Depends(json_fields(requests.MergeFields))],
) -> responses.SubjectOut:
    """Give the subject the faces of another one, all of them or some. The other one is deleted if it gave all."""
    given = _required(fields)
    return responses.SubjectOut.of(await services.galleries.merge(gallery, subject, given.other, given.faces, actor))


@router.delete(SUBJECT, dependencies=ERASE, status_code=204, responses=ERASED)
async def delete_subject(gallery: Id, subject: Id, services: ServicesDep, actor: ActorDep) -> Response:
    """Delete a subject with all its faces. Their data is erased from the disk."""
    return _erased(await services.galleries.delete_subject(gallery, subject, actor))


@router.get(SUBJECT + "/export", dependencies=EXPORT)
async def export_subject(gallery: Id, subject: Id, services: ServicesDep, actor: ActorDep) -> responses.SubjectExport:
    """All stored data of a subject: metadata, faces with their vectors, and entries of the audit log."""
    return subject_export(await services.galleries.export_subject(gallery, subject, actor))


@router.post(
    SUBJECT + "/faces",
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


@router.get(SUBJECT + "/faces", dependencies=ENROLL)
async def list_faces(gallery: Id, subject: Id, services: ServicesDep) -> responses.EnrolledFaces:
    return enrolled_faces(await services.galleries.faces(gallery, subject))


@router.delete(SUBJECT + "/faces/{face}", dependencies=ERASE, status_code=204, responses=ERASED)
async def delete_face(gallery: Id, subject: Id, face: Id, services: ServicesDep, actor: ActorDep) -> Response:
    return _erased(await services.galleries.delete_face(gallery, subject, face, actor))


@router.post(SUBJECT + "/verify", dependencies=VERIFY, openapi_extra=request_body(requests.ClaimFields, FACE))
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


def _required(fields: F | None) -> F:
    if fields is None:
        raise InvalidRequest("body: missing", [("body", "expected a JSON object")])
    return fields


def _erased(completely: bool) -> Response:  # noqa: FBT001
    if completely:
        return Response(status_code=204)
    return JSONResponse(responses.PendingErasure().model_dump(), status_code=202)
