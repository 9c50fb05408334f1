"""Searches are written to the audit log if the settings ask for it."""

import logging
from pathlib import Path

import pytest

from app.audit.log import AuditLog
from app.concurrency.worker_pool import WorkerPool
from app.domain.errors import StorageFull
from app.domain.identity import Actor
from app.gallery.search import GallerySearch
from app.services.galleries import Galleries
from tests.support.repository import FileRepository

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("audited", "subjects", "expected"),
    [
        (False, ["ada", "bob"], []),
        (False, [], []),
        (True, ["ada", "bob"], ["ada", "bob"]),
        (True, [], [None]),
    ],
)
async def test_audited_search_has_an_entry_per_subject_or_one_without(
    tmp_path: Path,
    audited: bool,  # noqa: FBT001
    subjects: list[str],
    expected: list[str | None],
) -> None:
    repository = FileRepository(tmp_path / "g.sqlite3")
    workers = WorkerPool("store", threads=1, max_waiting=9, deadline=9)
    galleries = Galleries(repository, GallerySearch(repository), workers, audit_searches=audited)
    await galleries.audit_search(Actor("key:ada", "r-1"), "subject.identify", "guests", subjects)
    entries = AuditLog(repository.database).entries()
    workers.close()
    repository.close()

    assert [each.get("subject") for each in entries] == expected
    assert all(
        (each["by"], each["action"], each["gallery"]) == ("key:ada", "subject.identify", "guests") for each in entries
    )


async def test_search_on_a_full_disk_is_answered_and_logged_as_not_audited(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StorageFull("the disk is full")

    repository = FileRepository(tmp_path / "g.sqlite3")
    monkeypatch.setattr(repository, "audit_events", fail)
    workers = WorkerPool("store", threads=1, max_waiting=9, deadline=9)
    with caplog.at_level(logging.ERROR):
        galleries = Galleries(repository, GallerySearch(repository), workers)
        await galleries.audit_search(Actor("key:ada", "r-1"), "subject.verify", "guests", ["bob"])
    workers.close()
    repository.close()

    assert "subject.verify by key:ada in request r-1 is not audited" in caplog.text
    assert "bob" not in caplog.text
