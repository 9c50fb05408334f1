"""Faces older than the retention period are erased in regular sweeps, whatever happens in one of them."""

import asyncio
import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from app.audit.log import AuditLog
from app.domain.clock import format_time
from app.domain.embeddings import Template
from app.domain.errors import Overloaded
from app.domain.identity import Actor
from app.gallery.search import GallerySearch
from app.services.galleries import Galleries
from app.services.retention_task import RETENTION, Retention, SubjectExpiry
from tests.support.observers import RecordingObserver
from tests.support.repository import FileRepository
from tests.support.templates import numbered, unit
from tests.support.vectors import memory_of
from tests.unit.services.bench import Bench

pytestmark = pytest.mark.anyio
DAY = timedelta(days=1)


@dataclass
class FakeGalleries:
    """Records calls of `expire`; each outcome is the number of erased faces, or an error."""

    outcomes: list[int | Exception] = field(default_factory=list)
    calls: list[tuple[str, Actor]] = field(default_factory=list)

    async def expire(self, before: str, by: Actor) -> int:
        self.calls.append((before, by))
        outcome = self.outcomes.pop(0) if self.outcomes else 0
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def pauses_of(
    monkeypatch: pytest.MonkeyPatch,
    galleries: FakeGalleries,
    observer: RecordingObserver | None = None,
    sweeps: int = 1,
    period: timedelta = DAY,
) -> list[float]:
    """Run the task for so many sweeps without real pauses, and return the seconds of its pauses."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) >= sweeps:
            raise asyncio.CancelledError

    monkeypatch.setattr("app.services.retention_task.asyncio.sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await Retention(cast("Galleries", galleries), period, observer or RecordingObserver()).run()
    return pauses


def enrolled(days_ago: float, seed: int) -> list[Template]:
    moment = format_time(datetime.now(UTC) - days_ago * DAY)
    return [replace(each, enrolled_at=moment) for each in numbered("ada", seed)]


async def test_sweep_erases_and_audits_older_faces(bench: Bench) -> None:
    for seed, days in enumerate((0, 0.9, 1.1, 400)):
        bench.repository.enroll("guests", "ada", enrolled(days, seed))
    observer = RecordingObserver()
    for _ in range(2):
        await Retention(bench.galleries, DAY, observer).sweep()

    assert [face.face_id for face in bench.repository.faces("guests", "ada")] == ["0", "1"]
    assert observer.events == [("expired", 2), ("expired", 0)]
    entries = AuditLog(cast("FileRepository", bench.repository).database).entries("guests")[-2:]
    assert [(each["by"], each["action"]) for each in entries] == [("retention", "face.expire")] * 2


async def test_sweep_removes_faces_from_memory_too(bench: Bench) -> None:
    bench.repository.enroll("guests", "ada", enrolled(2, 1) + enrolled(0, 2))
    search = cast("GallerySearch", bench.galleries._search)
    search.load_indexes()
    await Retention(bench.galleries, DAY, RecordingObserver()).sweep()
    index = search._indexed["guests"].index

    assert index is not None
    vectors = memory_of(index)
    assert not (vectors @ unit(1) > 0.99).any()
    assert (vectors @ unit(2) > 0.99).any()


async def test_each_sweep_uses_the_present_time(monkeypatch: pytest.MonkeyPatch) -> None:
    galleries, earliest = FakeGalleries(), format_time(datetime.now(UTC) - DAY)
    await pauses_of(monkeypatch, galleries, sweeps=3)
    latest = format_time(datetime.now(UTC) - DAY)

    assert len(galleries.calls) == 3
    assert all(earliest <= before <= latest and by == RETENTION for before, by in galleries.calls)


@pytest.mark.parametrize("error", [Overloaded("busy"), RuntimeError("a bug"), OverflowError("date value out of range")])
async def test_failed_sweep_is_logged_and_the_next_one_runs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    observer = RecordingObserver()
    monkeypatch.setattr(logging.getLogger("app"), "propagate", True)
    await pauses_of(monkeypatch, FakeGalleries([error, 5]), observer, sweeps=2)

    assert observer.events == [("expired", 5)]
    assert "expired faces could not be erased" in caplog.text


@pytest.mark.parametrize(
    ("period", "pause"),
    [
        (timedelta(seconds=5), 1),
        (timedelta(minutes=1), 2.5),
        (timedelta(hours=12), 1800),
        (timedelta(days=1), 3600),
        (timedelta(days=3650), 3600),
    ],
)
async def test_pause_is_an_hour_or_a_24th_of_a_shorter_period(
    monkeypatch: pytest.MonkeyPatch, period: timedelta, pause: float
) -> None:
    assert await pauses_of(monkeypatch, FakeGalleries(), period=period) == [pause]


async def test_subjects_past_their_expiry_are_erased_without_a_retention_period(bench: Bench) -> None:
    for subject, seed in (("ada", 1), ("bob", 2)):
        bench.repository.enroll("guests", subject, numbered(subject, seed))
    bench.repository.put_subject("guests", "ada", None, expires_at=format_time(datetime.now(UTC)))
    bench.repository.put_subject("guests", "bob", None, expires_at=format_time(datetime.now(UTC) + DAY))
    observer = RecordingObserver()
    for _ in range(2):
        await SubjectExpiry(bench.galleries, observer).sweep()

    assert [each.subject_id for each in bench.repository.subjects("guests", 9, "")] == ["bob"]
    assert observer.events == [("expired", 1), ("expired", 0)]


async def test_expiry_is_looked_at_each_minute() -> None:
    assert SubjectExpiry.pause == 60
