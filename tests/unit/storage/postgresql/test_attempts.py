"""Attempts of a caller on a subject are counted for all replicas together, in any window of time."""

import asyncio
import time
from contextlib import closing

import pytest

from app.concurrency.worker_pool import WorkerPool
from app.domain.errors import RateLimited
from app.domain.identity import Caller, Scope
from app.services.attempts import SharedAttempts
from app.storage.postgresql import attempts as module
from app.storage.postgresql.database import Database
from tests.support.background import map_in_threads

HOUR = 3600.0


def test_two_replicas_count_together(database: Database, other: Database) -> None:
    tables = [each.attempts("verify", 10, HOUR) for each in (database, other)]
    waits = map_in_threads(lambda number: tables[number % 2].admit("key:1", "guests", "ada"), range(24), 4)

    assert waits.count(None) == 10
    assert all(HOUR - 60 < wait <= HOUR for wait in waits if wait is not None)
    assert tables[0].exhausted("key:1", "guests") == tables[1].exhausted("key:1", "guests") == {"ada"}


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("identify", ("key:1", "guests", "ada")),
        ("verify", ("key:2", "guests", "ada")),
        ("verify", ("key:1", "staff", "ada")),
        ("verify", ("key:1", "guests", "bob")),
    ],
)
def test_another_kind_caller_gallery_or_subject_has_a_count_of_its_own(
    database: Database, kind: str, key: tuple[str, str, str]
) -> None:
    assert database.attempts("verify", 1, HOUR).admit("key:1", "guests", "ada") is None
    assert database.attempts(kind, 1, HOUR).admit(*key) is None
    assert database.attempts("verify", 1, HOUR).admit("key:1", "guests", "ada") is not None


def test_what_is_older_than_the_window_counts_no_more_and_is_removed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CLEAN_UP_EVERY", 2)
    table = database.attempts("verify", 1, 0.05)
    assert table.admit("key:1", "guests", "ada") is None
    time.sleep(0.06)
    assert table.exhausted("key:1", "guests") == frozenset()
    assert table.admit("key:1", "guests", "ada") is None
    with database.reading() as db:
        assert len(db.execute("SELECT 1 FROM subject_attempts").fetchall()) == 1


def test_the_caller_is_told_how_long_to_wait_and_an_admin_is_not_limited(database: Database) -> None:
    key, admin = Caller("key:1", frozenset({Scope.VERIFY})), Caller("key:2", frozenset({Scope.ADMIN}))

    async def exhaust() -> None:
        with closing(WorkerPool("store", threads=1, max_waiting=9, deadline=30)) as workers:
            shared = SharedAttempts(database.attempts("verify", 1, HOUR), 1, workers)
            await shared.acquire(key, "guests", "ada")
            assert await shared.exhausted(key, "guests") == {"ada"}
            assert not await shared.admit(key, "guests", "ada")
            assert await shared.exhausted(admin, "guests") == frozenset()
            for _ in range(3):
                await shared.acquire(admin, "guests", "ada")
            await shared.acquire(key, "guests", "ada")

    with pytest.raises(RateLimited, match="expected at most 1 comparisons with one subject per hour") as caught:
        asyncio.run(exhaust())
    assert HOUR - 60 < caught.value.seconds <= HOUR
