"""The key of what was deleted is in no file of the database, or the deletion is pending until it is not."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from app.audit.log import AuditLog
from app.domain.errors import ServiceError
from app.domain.identity import SYSTEM
from app.gallery.key_rotation import rotate
from app.storage.cipher import AesGcmCipher
from app.storage.postgresql import database as module
from app.storage.postgresql.migrate import open_migrated
from tests.support.postgres import PostgresServer
from tests.support.repository import FileRepository
from tests.support.templates import numbered

CIPHER = AesGcmCipher([bytes(range(32))])


@pytest.fixture
def repository(url: str) -> Iterator[FileRepository]:
    with closing(FileRepository(url, cipher=CIPHER)) as opened:
        for number, name in enumerate(("ada", "bob", "eve")):
            opened.enroll("guests", name, numbered(name, 2 * number, 2 * number + 1))
        yield opened


def key_records(url: str) -> list[bytes]:
    with psycopg.connect(url) as db:
        return [bytes(row[0]) for row in db.execute("SELECT record FROM data_keys ORDER BY slot")]


def is_in_a_table(server: PostgresServer, record: bytes) -> bool:
    """Look into every file of every database, but not into the write-ahead log."""
    server.execute("CHECKPOINT")
    files = [file for file in (server.data / "base").rglob("*") if file.is_file()]
    assert files
    return any(record in file.read_bytes() for file in files)


def test_the_key_of_a_deleted_subject_is_in_no_file_of_a_table(
    postgres_server: PostgresServer, repository: FileRepository, url: str
) -> None:
    (ada, *_) = key_records(url)
    was_there = is_in_a_table(postgres_server, ada)
    repository.delete_subject("guests", "ada")

    assert was_there
    assert repository.pending_erasures() == 0
    assert not is_in_a_table(postgres_server, ada)
    assert len(key_records(url)) == 2
    assert [face.face_id for face in repository.faces("guests", "bob")]


@pytest.mark.parametrize("change", ["face", "metadata", "gallery"])
def test_an_earlier_key_is_gone_with_what_it_opened(
    postgres_server: PostgresServer, repository: FileRepository, url: str, change: str
) -> None:
    (ada, *_) = key_records(url)
    if change == "face":
        repository.delete_face("guests", "ada", repository.faces("guests", "ada")[0].face_id)
    elif change == "metadata":
        repository.put_subject("guests", "ada", {"name": "Ada"})
    else:
        repository.delete_gallery("guests")

    assert not is_in_a_table(postgres_server, ada)


def test_a_reader_delays_the_erasure_and_the_deletion_says_so(repository: FileRepository, url: str) -> None:
    with closing(FileRepository(url, cipher=CIPHER)) as reader:
        with reader.database.reading():
            repository.delete_subject("guests", "ada")
            pending = repository.pending_erasures()
            still = repository.settle_erasures()
        settled = repository.settle_erasures()

    assert (pending, still, settled) == (1, 1, 0)


def test_another_process_finishes_what_a_crash_left(
    postgres_server: PostgresServer, repository: FileRepository, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ada, *_) = key_records(url)

    def crash(_: object) -> None:
        raise ServiceError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(module.Database, "_settle", crash)
        repository.delete_subject("guests", "ada")
    with closing(FileRepository(url, cipher=CIPHER)) as next_process:
        pending = next_process.pending_erasures()
        next_process.settle_after_crash()

    assert pending == 1
    assert repository.pending_erasures() == 0
    assert not is_in_a_table(postgres_server, ada)


def test_a_new_master_key_leaves_no_data_key_that_the_old_one_opens(
    postgres_server: PostgresServer, repository: FileRepository, url: str
) -> None:
    before, known = key_records(url), repository.gallery("guests").faces
    both = AesGcmCipher([bytes(32), bytes(range(32))])
    with closing(open_migrated(url, both)) as database:
        faces = rotate(database, both, SYSTEM)
        verdict = AuditLog(database).verify()
    with closing(FileRepository(url, cipher=AesGcmCipher([bytes(32)]))) as after:
        assert [face.face_id for face in after.faces("guests", "bob")] == ["2", "3"]

    assert (faces, verdict.fault) == (known, None)
    assert not any(is_in_a_table(postgres_server, record) for record in before)


def test_a_large_table_of_keys_is_written_anew_only_now_and_then(
    repository: FileRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SMALL_TABLE", 0)
    monkeypatch.setattr(module, "_REST", 10**9)
    repository.delete_subject("guests", "ada")
    first = repository.pending_erasures()
    repository.delete_subject("guests", "bob")

    assert (first, repository.pending_erasures()) == (0, 1)
    repository.database._next_rewrite = 0.0  # type: ignore[attr-defined]
    assert repository.settle_erasures() == 0
