"""Read the audit log: /audit."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from app.api.dependencies import CallerDep, ServicesDep, require_scope
from app.api.openapi import PROBLEMS
from app.api.responses import AuditPage
from app.domain.identity import Scope
from app.gallery.limits import ID_PATTERN

router = APIRouter(tags=["service"], responses=PROBLEMS)
MAX_PAGE = 1000
_MAX_SEQ = 2**53
"""The largest whole number that every JSON parser reads exactly."""
QueryId = Annotated[str | None, Query(pattern=ID_PATTERN)]


@router.get("/audit", dependencies=[require_scope(Scope.ADMIN)])
async def list_audit(
    services: ServicesDep,
    caller: CallerDep,
    gallery: QueryId = None,
    subject: QueryId = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    before: Annotated[int | None, Query(ge=1, le=_MAX_SEQ, description="`next_before` of the previous page.")] = None,
) -> AuditPage:
    """Entries of the audit log, newest first. A key that is limited to some galleries has to name one of them."""
    if gallery is None:
        caller.require_all_galleries()
    else:
        caller.require_gallery(gallery)
    found = await services.galleries.audit_entries(limit + 1, before, gallery, subject)
    entries = [dict(entry) for entry in found[:limit]]
    return AuditPage(entries=entries, next_before=entries[-1]["seq"] if len(found) > limit else None)
