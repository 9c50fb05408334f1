"""The answers about the state of the service."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field


class Health(BaseModel):
    status: Literal["alive", "stopping"]


class Readiness(BaseModel):
    status: Literal["ready"] = "ready"
    replica_lag_seconds: float | None = Field(
        None, description="Seconds for which changes of other replicas may be unknown here; only with PostgreSQL."
    )
    erasures_pending: int = Field(
        description="Deletions of which old pages are still on the disk, because a reader of the database needs them."
    )


class AuditPage(BaseModel):
    entries: list[dict[str, Any]] = Field(
        description="Each has `seq`, `at`, `by`, `action` and `hash`, and where it applies `gallery`, `subject`, "
        "`face`, `request_id` and numbers of what was changed."
    )
    next_before: int | None = Field(description="`before` of the next page; null after the oldest entry.")


class PendingErasure(BaseModel):
    """Deleted, and found by nobody; old pages stay on the disk until the readers of the database have ended."""

    erased: Literal["pending"] = "pending"
