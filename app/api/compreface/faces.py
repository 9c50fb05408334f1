"""The examples of subjects, CompreFace's word for enrolled faces: /recognition/faces."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from app.api.compreface import shapes
from app.api.compreface.collection import CollectionDep
from app.api.compreface.fields import MAX_PAGE_SIZE, PREFIX, ExampleFields, SubjectName
from app.api.compreface.photos import OnePhoto, parsed
from app.api.dependencies import ActorDep, CallerDep, Id, ServicesDep, StateDep, TimerDep, require_scope
from app.api.json_body import parse_json, read_chunks
from app.domain.errors import InvalidRequest, NotFound
from app.domain.identity import Scope
from app.gallery.records import FaceReference
from app.services.enrollment import EnrollmentResult

router = APIRouter(prefix=f"{PREFIX}/recognition/faces", include_in_schema=False)
FACE = "/{image_id}"
MAX_IDS = 1000
ENROLL, ERASE, VERIFY = ([require_scope(scope)] for scope in (Scope.ENROLL, Scope.ERASE, Scope.VERIFY))
OneSubject = Annotated[SubjectName | None, Query()]


@router.post("", dependencies=ENROLL, status_code=201)
async def add_example(
    submission: OnePhoto,
    collection: CollectionDep,
    services: ServicesDep,
    timer: TimerDep,
    caller: CallerDep,
    actor: ActorDep,
) -> dict[str, Any]:
    fields = submission.parse(ExampleFields)

    def enrolled(result: EnrollmentResult) -> dict[str, Any]:
        return shapes.example(FaceReference(result.enrolled[0].template.face_id, fields.subject))

    outcome = await services.enrollment.enroll(
        collection.gallery_id,
        fields.subject,
        submission.photos("auto"),
        fields.only_face,
        idempotency_key=None,
        present=enrolled,
        timer=timer,
        caller=caller,
        by=actor,
    )
    return outcome.answer


@router.get("", dependencies=ENROLL)
async def list_examples(
    collection: CollectionDep,
    subject: OneSubject = None,
    page: Annotated[int, Query(ge=0, le=10**9)] = 0,
    size: Annotated[int, Query(ge=1)] = 20,
) -> dict[str, Any]:
    size = min(size, MAX_PAGE_SIZE)
    return shapes.example_page(await collection.face_page(subject, page, size), page, size)


@router.delete("", dependencies=ERASE)
async def delete_examples(collection: CollectionDep, actor: ActorDep, subject: OneSubject = None) -> dict[str, int]:
    """Without a subject, the examples of all are deleted; an empty name is an error."""
    return {"deleted": len(await collection.delete_faces(actor, subject_id=subject))}


@router.delete(FACE, dependencies=ERASE)
async def delete_example(image_id: Id, collection: CollectionDep, actor: ActorDep) -> dict[str, str]:
    deleted = await collection.delete_faces(actor, face_ids=[image_id])
    if not deleted:
        raise NotFound(f"no face {image_id!r}")
    return shapes.example(deleted[0])


@router.post("/delete", dependencies=ERASE)
async def delete_several_examples(
    request: Request, state: StateDep, collection: CollectionDep, services: ServicesDep, actor: ActorDep
) -> list[dict[str, str]]:
    """The body is a list of ids; those that do not exist are left out of the answer."""
    body = await read_chunks(request, state.body_limits.json_of_metadata())
    ids = await services.body_workers.run(lambda: parse_json(body))
    if not isinstance(ids, list) or len(ids) > MAX_IDS or not all(isinstance(each, str) for each in ids):
        raise InvalidRequest(f"expected a list of at most {MAX_IDS} ids of images")
    return [shapes.example(face) for face in await collection.delete_faces(actor, face_ids=ids)]


@router.post(FACE + "/verify", dependencies=VERIFY)
async def verify_example(
    image_id: Id,
    submission: OnePhoto,
    collection: CollectionDep,
    services: ServicesDep,
    timer: TimerDep,
    caller: CallerDep,
    actor: ActorDep,
) -> dict[str, Any]:
    """Each face of the photo is compared with the example; the distances behind the similarities are rounded."""
    fields, (photo,) = parsed(submission, caller)
    result = await services.verification.enrolled_face(
        photo, fields.selection, collection.gallery_id, image_id, caller=caller, timer=timer
    )
    await services.galleries.audit_search(actor, "subject.verify", collection.gallery_id, [result.subject_id])
    return shapes.Shapes(fields, services.models, timer).comparison(result)
