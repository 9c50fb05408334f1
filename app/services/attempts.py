"""The limits on what a caller learns about one subject, counted in this process or for all replicas together."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Protocol

from app.access.subject_attempts import SubjectAttempts, too_many_attempts
from app.concurrency.worker_pool import WorkerPool
from app.domain.identity import Caller
from app.storage.database import AttemptTable


class Attempts(Protocol):
    """At most so many attempts in any hour, for each caller and subject; admin callers are not limited."""

    async def acquire(self, caller: Caller, gallery_id: str, subject_id: str) -> None:
        """Count an attempt. Raises RateLimited, which is not counted, if there were too many."""
        ...

    async def admit(self, caller: Caller, gallery_id: str, subject_id: str) -> bool:
        """Count an attempt and return True; if there were too many, return False."""
        ...

    async def exhausted(self, caller: Caller, gallery_id: str) -> AbstractSet[str]:
        """Return the subjects for which `admit` would return False."""
        ...


class LocalAttempts:
    """Counts in this process."""

    def __init__(self, limit: int) -> None:
        self._attempts = SubjectAttempts(limit)

    async def acquire(self, caller: Caller, gallery_id: str, subject_id: str) -> None:
        self._attempts.acquire(caller, gallery_id, subject_id)

    async def admit(self, caller: Caller, gallery_id: str, subject_id: str) -> bool:
        return self._attempts.admit(caller, gallery_id, subject_id)

    async def exhausted(self, caller: Caller, gallery_id: str) -> AbstractSet[str]:
        return self._attempts.exhausted(caller, gallery_id)


class SharedAttempts:
    """Counts in a table that all replicas share; 0 means no limit."""

    def __init__(self, table: AttemptTable, limit: int, workers: WorkerPool) -> None:
        self._table, self._limit, self._workers = table, limit, workers

    async def acquire(self, caller: Caller, gallery_id: str, subject_id: str) -> None:
        seconds = await self._wait(caller, gallery_id, subject_id)
        if seconds is not None:
            raise too_many_attempts(self._limit, seconds)

    async def admit(self, caller: Caller, gallery_id: str, subject_id: str) -> bool:
        return await self._wait(caller, gallery_id, subject_id) is None

    async def exhausted(self, caller: Caller, gallery_id: str) -> AbstractSet[str]:
        if self._is_unlimited(caller):
            return frozenset()
        return await self._workers.run(lambda: self._table.exhausted(caller.name, gallery_id))

    async def _wait(self, caller: Caller, gallery_id: str, subject_id: str) -> float | None:
        if self._is_unlimited(caller):
            return None
        return await self._workers.run(lambda: self._table.admit(caller.name, gallery_id, subject_id))

    def _is_unlimited(self, caller: Caller) -> bool:
        return not self._limit or caller.is_admin
