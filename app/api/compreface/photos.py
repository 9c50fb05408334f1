"""Analyze photos: /recognition/recognize, /detection/detect and /verification/verify."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from app.api.compreface.collection import CollectionDep
from app.api.compreface.fields import CALCULATOR, FILE, PREFIX, SOURCE, TARGET, PhotoFields
from app.api.compreface.shapes import Shapes
from app.api.dependencies import ActorDep, CallerDep, ServicesDep, TimerDep, images, require_scope
from app.api.uploads import Submission
from app.domain.errors import NotFound
from app.domain.identity import Caller, Scope
from app.services.extraction import Upload

router = APIRouter(prefix=PREFIX, include_in_schema=False)
OnePhoto = Annotated[Submission, Depends(images(FILE))]


@router.post("/recognition/recognize", dependencies=[require_scope(Scope.IDENTIFY)])
async def recognize(
    submission: OnePhoto,
    collection: CollectionDep,
    services: ServicesDep,
    timer: TimerDep,
    caller: CallerDep,
    actor: ActorDep,
) -> dict[str, Any]:
    """A subject is named only if it is within the threshold of /identify."""
    fields, (photo,) = parsed(submission, caller)
    search = partial(
        services.identification.identify,
        photo,
        fields.selection,
        collection.gallery_id,
        caller=caller,
        top_k=fields.top_k,
        fpir=None,
        threshold=None,
        timer=timer,
    )
    try:
        result = await search()
    except NotFound:  # nobody was ever enrolled
        await services.galleries.create(collection.gallery_id, actor)
        result = await search()
    await services.galleries.audit_search(actor, "subject.identify", collection.gallery_id, result.subject_ids)
    return Shapes(fields, services.models, timer).recognition(result)


@router.post("/detection/detect", dependencies=[require_scope(Scope.VERIFY)])
async def detect(submission: OnePhoto, services: ServicesDep, timer: TimerDep, caller: CallerDep) -> dict[str, Any]:
    fields, (upload,) = parsed(submission, caller)
    shapes = Shapes(fields, services.models, timer)
    photo = await services.extraction.read(upload, fields.selection, timer)
    faces = [each.face for each in photo.faces]
    if not fields.asks_for(CALCULATOR):
        return shapes.detection(faces, [None] * len(faces))
    probes = await services.extraction.embed([photo], timer)
    return shapes.detection(faces, [probe.embedding for probe in probes])


@router.post("/verification/verify", dependencies=[require_scope(Scope.VERIFY)])
async def verify(
    submission: Annotated[Submission, Depends(images(SOURCE, TARGET))],
    services: ServicesDep,
    timer: TimerDep,
    caller: CallerDep,
) -> dict[str, Any]:
    """The source has one face; each face of the target is compared with it."""
    fields, (source, target) = parsed(submission, caller)
    result = await services.verification.all_faces(source, target, fields.only_face, fields.selection, timer=timer)
    return Shapes(fields, services.models, timer).verification(result)


def parsed(submission: Submission, caller: Caller) -> tuple[PhotoFields, list[Upload]]:
    """Return parameters and photos. Raises InvalidRequest, or MissingScope if the caller may not get vectors."""
    fields = submission.parse(PhotoFields)
    if fields.asks_for(CALCULATOR):
        caller.require(Scope.EMBED)
    return fields, submission.photos("auto")
