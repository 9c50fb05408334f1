"""What is older than it may be goes, for as long as the service runs, whatever happens to one sweep."""

import asyncio
import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.audit.log import AuditLog
from app.domain.clock import written
from app.domain.errors import Overloaded
from app.domain.identity import Actor
from app.domain.models import Embedding
from app.services.retention_task import RETENTION, Retention
from tests.services.bench import Bench
from tests.support.observers import Noticed
from tests.support.templates import numbered, unit

pytestmark = pytest.mark.anyio
DAY = timedelta(days=1)


@dataclass
class Erasing:
    """Galleries that only remember what they were asked to erase; each outcome is the faces erased, or an error."""

    outcomes: list[int | Exception] = field(default_factory=list)
    asked: list[tuple[str, Actor]] = field(default_factory=list)

    async def expire(self, before: str, by: Actor) -> int:
        self.asked.append((before, by))
        outcome = self.outcomes.pop(0) if self.outcomes else 0
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@dataclass
class Sleeps:
    """Sleeps for no time at all; after `most` pauses it is cancelled, as a service that stops does."""

    most: int
    asked: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        if len(self.asked) >= self.most:
            raise asyncio.CancelledError


def enrolled(days_ago: float, seed: int) -> list[object]:
    moment = written(datetime.now(UTC) - days_ago * DAY)
    return [replace(each, enrolled_at=moment) for each in numbered("ada", seed)]


async def test_a_sweep_erases_what_is_older_and_says_so(bench: Bench) -> None:
    for seed, days in enumerate((0, 0.9, 1.1, 400)):
        bench.repository.enroll("guests", "ada", enrolled(days, seed))  # type: ignore[arg-type]
    noticed = Noticed()
    await Retention(bench.galleries, DAY, noticed).sweep()
    await Retention(bench.galleries, DAY, noticed).sweep()

    assert [face.face_id for face in bench.repository.faces("guests", "ada")] == ["0", "1"]
    assert noticed.events == [("expired", 2), ("expired", 0)]
    told = AuditLog(bench.repository.database).entries("guests")[-2:]  # type: ignore[attr-defined]
    assert [(each["by"], each["action"]) for each in told] == [("retention", "face.expire")] * 2


async def test_what_was_erased_leaves_this_process_too(bench: Bench) -> None:
    bench.repository.enroll("guests", "ada", enrolled(2, 1) + enrolled(0, 2))  # type: ignore[arg-type]
    search = bench.galleries._search
    search.load_indexes()
    await Retention(bench.galleries, DAY, Noticed()).sweep()
    memory = search._indexed["guests"].index._vectors()

    assert not (memory @ unit(1) > 0.99).any()
    assert (memory @ unit(2) > 0.99).any()


async def test_it_sweeps_at_once_and_again_and_again_by_the_moment_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    erasing, sleeps = Erasing(), Sleeps(3)
    monkeypatch.setattr("app.services.retention_task.asyncio.sleep", sleeps)
    earliest = written(datetime.now(UTC) - DAY)
    with pytest.raises(asyncio.CancelledError):
        await Retention(erasing, DAY, Noticed()).run()  # type: ignore[arg-type]
    latest = written(datetime.now(UTC) - DAY)

    assert len(erasing.asked) == 3
    assert all(earliest <= before <= latest and by == RETENTION for before, by in erasing.asked)


@pytest.mark.parametrize("error", [Overloaded("busy"), RuntimeError("a bug"), OverflowError("date value out of range")])
async def test_a_sweep_that_fails_is_told_and_the_next_one_comes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    erasing, noticed = Erasing([error, 5]), Noticed()
    monkeypatch.setattr("app.services.retention_task.asyncio.sleep", Sleeps(2))
    monkeypatch.setattr(logging.getLogger("app"), "propagate", True)
    with pytest.raises(asyncio.CancelledError):
        await Retention(erasing, DAY, noticed).run()  # type: ignore[arg-type]

    assert noticed.events == [("expired", 5)]
    assert "what has expired could not be erased" in caplog.text


@pytest.mark.parametrize(
    ("kept", "pause"),
    [
        (timedelta(seconds=5), 1),
        (timedelta(minutes=1), 2.5),
        (timedelta(hours=12), 1800),
        (timedelta(days=1), 3600),
        (timedelta(days=3650), 3600),
    ],
)
async def test_it_sweeps_hourly_and_more_often_where_little_is_kept(
    monkeypatch: pytest.MonkeyPatch, kept: timedelta, pause: float
) -> None:
    sleeps = Sleeps(1)
    monkeypatch.setattr("app.services.retention_task.asyncio.sleep", sleeps)
    with pytest.raises(asyncio.CancelledError):
        await Retention(Erasing(), kept, Noticed()).run()  # type: ignore[arg-type]

    assert sleeps.asked == [pause]


async def test_an_embedding_is_as_it_was_where_nothing_expired(bench: Bench, tmp_path: Path) -> None:
    bench.repository.enroll("guests", "ada", enrolled(0, 3))  # type: ignore[arg-type]
    before = (tmp_path / "gallery.sqlite3-wal").read_bytes()
    await Retention(bench.galleries, DAY, Noticed()).sweep()

    assert (tmp_path / "gallery.sqlite3-wal").read_bytes() == before
    assert isinstance(bench.repository.faces("guests", "ada")[0].embedding, Embedding)
