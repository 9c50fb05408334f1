"""Searches are in the audit log where the operator wants them there, and nowhere else."""

from pathlib import Path

import pytest

from app.audit.log import AuditLog
from app.concurrency.worker_pool import WorkerPool
from app.domain.identity import Actor
from app.gallery.search import GallerySearch
from app.services.galleries import Galleries
from tests.support.repository import FileRepository

pytestmark = pytest.mark.anyio
ADA = Actor("key:ada", "r-1")


@pytest.mark.parametrize(
    ("audited", "found", "told"),
    [
        (False, ["ada", "bob"], []),
        (False, [], []),
        (True, ["ada", "bob"], ["ada", "bob"]),
        (True, [], [None]),
    ],
)
async def test_each_subject_that_was_named_is_told_or_that_nobody_was(
    tmp_path: Path,
    audited: bool,  # noqa: FBT001
    found: list[str],
    told: list[str | None],
) -> None:
    repository, workers = (
        FileRepository(tmp_path / "g.sqlite3"),
        WorkerPool("store", threads=1, max_waiting=9, deadline=9),
    )
    galleries = Galleries(repository, GallerySearch(repository), workers, audit_searches=audited)
    await galleries.audit_search(ADA, "subject.identify", "guests", found)
    entries = AuditLog(repository.database).entries()
    workers.close()
    repository.close()

    assert [each.get("subject") for each in entries] == told
    assert all(
        (each["by"], each["action"], each["gallery"]) == ("key:ada", "subject.identify", "guests") for each in entries
    )
