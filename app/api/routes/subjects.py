"""Manage the subjects of a gallery: /galleries/{gallery}/subjects."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from app.api import requests, responses
from app.api.cursors import cursor_of, subject_behind
from app.api.dependencies import ActorDep, Id, ServicesDep, json_fields, require_scope
from app.api.openapi import PROBLEMS, json_body
from app.api.presenters.enrolled import subject_export
from app.api.routes.erasure import ERASED, erased
from app.api.uploads import F
from app.domain.errors import InvalidRequest
from app.domain.identity import Scope

router = APIRouter(prefix="/galleries/{gallery}/subjects", tags=["galleries"], responses=PROBLEMS)
SUBJECT = "/{subject}"
MAX_PAGE = 1000
ENROLL, ERASE, EXPORT = ([require_scope(scope)] for scope in (Scope.ENROLL, Scope.ERASE, Scope.EXPORT))


@router.get("", dependencies=ENROLL)
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
    return erased(await services.galleries.delete_subject(gallery, subject, actor))


@router.get(SUBJECT + "/export", dependencies=EXPORT)
async def export_subject(gallery: Id, subject: Id, services: ServicesDep, actor: ActorDep) -> responses.SubjectExport:
    """All stored data of a subject: metadata, faces with their vectors, and entries of the audit log."""
    return subject_export(await services.galleries.export_subject(gallery, subject, actor))


def _required(fields: F | None) -> F:
    if fields is None:
        raise InvalidRequest("body: expected a JSON object, got none", [("body", "expected a JSON object, got none")])
    return fields
