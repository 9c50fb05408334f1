"""Manage galleries: /galleries, and the import of one."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.api import responses
from app.api.dependencies import (
    ActorDep,
    CallerDep,
    Id,
    ServicesDep,
    require_scope,
)
from app.api.ndjson import ImportAnswers
from app.api.openapi import PROBLEMS, ndjson_answers, ndjson_body
from app.api.problems import ProblemContext
from app.api.routes.erasure import ERASED, erased
from app.domain.identity import Scope

router = APIRouter(prefix="/galleries", tags=["galleries"], responses=PROBLEMS)
ENROLL, ADMIN = ([require_scope(scope)] for scope in (Scope.ENROLL, Scope.ADMIN))


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
    return erased(await services.galleries.delete(gallery, actor))


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
