"""The subjects of a collection: /recognition/subjects."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from app.api.compreface.collection import CollectionDep
from app.api.compreface.fields import PREFIX, SubjectFields
from app.api.dependencies import ActorDep, CallerDep, Id, ServicesDep, json_fields, require_scope
from app.domain.errors import InvalidRequest, SubjectExists
from app.domain.identity import Scope

router = APIRouter(prefix=f"{PREFIX}/recognition/subjects", include_in_schema=False)
SUBJECT = "/{subject}"
ENROLL, ERASE = ([require_scope(scope)] for scope in (Scope.ENROLL, Scope.ERASE))
Fields = Annotated[SubjectFields | None, Depends(json_fields(SubjectFields))]


@router.get("/", dependencies=ENROLL)  # CompreFace's documents and clients use both
@router.get("", dependencies=ENROLL)
async def list_subjects(collection: CollectionDep) -> dict[str, list[str]]:
    return {"subjects": await collection.subject_ids()}


@router.post("", dependencies=ENROLL, status_code=201)
async def add_subject(
    fields: Fields, collection: CollectionDep, services: ServicesDep, actor: ActorDep
) -> dict[str, str]:
    subject = _name_in(fields)
    _, is_new = await services.galleries.put_subject(collection.gallery_id, subject, None, actor)
    if not is_new:
        raise SubjectExists(f"gallery {collection.gallery_id!r} has a subject {subject!r}")
    return {"subject": subject}


@router.put(SUBJECT, dependencies=ENROLL)
async def rename_subject(
    subject: Id, fields: Fields, collection: CollectionDep, services: ServicesDep, caller: CallerDep, actor: ActorDep
) -> dict[str, bool]:
    """If there is a subject of the new name, both are merged, which deletes one: that needs the scope `erase` too."""
    gallery_id, new_id = collection.gallery_id, _name_in(fields)
    try:
        await services.galleries.update_subject(gallery_id, subject, new_id, None, actor)
    except SubjectExists:
        caller.require(Scope.ERASE)
        await services.galleries.merge(gallery_id, new_id, subject, None, actor)
    return {"updated": True}


@router.delete(SUBJECT, dependencies=ERASE)
async def delete_subject(
    subject: Id, collection: CollectionDep, services: ServicesDep, actor: ActorDep
) -> dict[str, str]:
    await services.galleries.delete_subject(collection.gallery_id, subject, actor)
    return {"subject": subject}


@router.delete("", dependencies=ERASE)
async def delete_all_subjects(collection: CollectionDep, actor: ActorDep) -> dict[str, int]:
    return {"deleted": await collection.delete_all_subjects(actor)}


def _name_in(fields: SubjectFields | None) -> str:
    if fields is None:
        detail = "expected a JSON object with a subject, got none"
        raise InvalidRequest(f"subject: {detail}", [("subject", detail)])
    return fields.subject
