"""Snapshots are written when the service stops, and graphs are built in the background."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from app.concurrency.worker_pool import WorkerPool
from app.gallery.search import GallerySearch
from app.services.galleries import Galleries
from app.services.graph_task import GraphTask
from app.services.snapshot_task import SnapshotTask
from tests.support.repository import FileRepository
from tests.support.templates import template, unit

FACES, DIMENSION = 5000, 16


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[FileRepository]:
    with closing(FileRepository(tmp_path / "gallery.sqlite3")) as opened:
        opened.enroll("guests", "crowd", [template(str(seed), "crowd", unit(seed, DIMENSION)) for seed in range(FACES)])
        yield opened


async def run_until(task: SnapshotTask | GraphTask, holds: Callable[[], bool]) -> None:
    """Run the task until it holds, or the test has waited too long, and stop it."""
    running = asyncio.create_task(task.run())
    for _ in range(3000):
        await asyncio.sleep(0.01)
        if holds():
            break
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


@pytest.mark.slow
def test_a_snapshot_is_written_when_the_service_stops(repository: FileRepository) -> None:
    search = GallerySearch(repository, snapshot_faces=FACES)
    search.load_indexes()
    with closing(WorkerPool("store", threads=1, max_waiting=9, deadline=60)) as workers:
        task = SnapshotTask(Galleries(repository, search, workers))
        asyncio.run(run_until(task, lambda: True))

    info = repository.snapshots.info(repository.gallery("guests").number)
    assert info is not None
    assert info.gallery.faces == FACES


def test_graphs_are_built_in_the_background(repository: FileRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.gallery.face_index.FaceIndex.build_graphs.__defaults__", (1000,))
    search = GallerySearch(repository)
    search.load_indexes()
    index = search._indexed["guests"].index
    assert index is not None
    with closing(WorkerPool("store", threads=1, max_waiting=9, deadline=60)) as workers:
        task = GraphTask(Galleries(repository, search, workers))
        asyncio.run(run_until(task, lambda: index.share_in_graphs() > 0))

    assert index.share_in_graphs() == 1
