"""Choose where attempts are counted: in this process, or for all replicas in PostgreSQL."""

from __future__ import annotations

from app.access.subject_attempts import WINDOW
from app.concurrency.worker_pool import WorkerPool
from app.gallery.repository import GalleryRepository
from app.services.attempts import Attempts, LocalAttempts, SharedAttempts


def open_attempts(repository: GalleryRepository, workers: WorkerPool, kind: str, limit: int) -> Attempts:
    table = repository.attempts(kind, limit, WINDOW)
    return LocalAttempts(limit) if table is None else SharedAttempts(table, limit, workers)
