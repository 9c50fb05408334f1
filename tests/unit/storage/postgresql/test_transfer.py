"""A copy of a SQLite file in PostgreSQL has the same rows, keys and audit log, also after an interruption."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from app.access.api_keys import KeyStore
from app.audit.log import AuditLog
from app.domain.errors import StartError
from app.domain.identity import Scope
from app.gallery.records import IdempotencyRecord
from app.storage.cipher import AesGcmCipher, Cipher
from app.storage.migrate import open_migrated as open_sqlite
from app.storage.postgresql import transfer as module
from app.storage.postgresql.migrate import open_migrated
from app.storage.postgresql.transfer import DifferentCopy, transfer
from app.storage.sqlite import Database
from tests.support.repository import FileRepository
from tests.support.templates import DIMENSION, numbered, unit, with_crops

KEY = AesGcmCipher([bytes(range(32))])


def fill(path: Path, cipher: Cipher | None) -> str:
    """Return an API key of the gallery."""
    with closing(FileRepository(path, cipher=cipher)) as repository:
        for number in range(7):
            record = IdempotencyRecord("key", "digest", {"enrolled": [number]})
            repository.enroll(
                "guests", f"Žofie {number}", with_crops(numbered(f"Žofie {number}", 2 * number, 2 * number + 1)), record
            )
        repository.begin_re_embedding("guests", "sha256:" + "b" * 64, DIMENSION)
        crops = repository.crops_to_embed("guests", "", 3)
        repository.add_new_vectors("guests", "sha256:" + "b" * 64, crops, [unit(number) for number in range(3)])
        repository.put_subject("guests", "ada", {"name": "Ada"}, consent="form", expires_at="2099-01-01T00:00:00.000Z")
        repository.create_gallery("gone")
        repository.delete_gallery("gone")
        repository.delete_face("guests", "Žofie 0", "1")
        return KeyStore(repository.database).create([Scope.ADMIN])[1]


@pytest.fixture(params=[None, KEY], ids=["plain", "encrypted"])
def cipher(request: pytest.FixtureRequest) -> Cipher | None:
    given: Cipher | None = request.param
    return given


@pytest.fixture
def source(tmp_path: Path, cipher: Cipher | None) -> Iterator[Database]:
    fill(tmp_path / "gallery.sqlite3", cipher)
    opened = open_sqlite(tmp_path / "gallery.sqlite3", cipher)
    yield opened
    opened.close()


def contents(repository: FileRepository) -> object:
    subjects = repository.subjects("guests", 100, "")
    faces = [face for each in subjects for face in repository.faces("guests", each.subject_id)]
    saved = repository.saved_response("guests", "Žofie 3", "key", "digest")
    return (
        repository.galleries(),
        subjects,
        [(face.face_id, face.subject_id, face.embedding.vector.tobytes(), face.enrolled_at) for face in faces],
        saved,
        AuditLog(repository.database).entries(),
    )


def test_everything_is_there_and_the_audit_log_continues(
    source: Database, url: str, tmp_path: Path, cipher: Cipher | None
) -> None:
    transfer(source, url)
    with source.reading() as db:
        last_number = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'galleries'").fetchone()["seq"]
    with closing(FileRepository(tmp_path / "gallery.sqlite3", cipher=cipher)) as before:
        expected = contents(before)
    with closing(FileRepository(url, cipher=cipher)) as copy:
        found, verdict = contents(copy), AuditLog(copy.database).verify()
        new, _ = copy.create_gallery("new")
        copy.enroll("guests", "eve", numbered("eve", 90))
        after = AuditLog(copy.database).verify()

    assert found == expected
    assert verdict.fault is after.fault is None
    assert new.number == last_number + 1  # that of a deleted gallery is not used again


def test_api_keys_are_accepted_as_before(tmp_path: Path, url: str) -> None:
    text = fill(tmp_path / "keys.sqlite3", None)
    with closing(open_sqlite(tmp_path / "keys.sqlite3")) as source:
        transfer(source, url)
    with closing(open_migrated(url)) as copy:
        assert KeyStore(copy).authenticate(text).is_admin


def test_an_interrupted_copy_goes_on_and_is_opened_by_nobody_before(
    source: Database, url: str, cipher: Cipher | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BATCH", 3)
    seen: list[tuple[str, int]] = []

    def interrupt(table: str, done: int) -> None:
        seen.append((table, done))
        if (table, done) == ("faces", 6):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transfer(source, url, interrupt)
    with pytest.raises(StartError, match="a copy from SQLite is not finished"):
        open_migrated(url, cipher)
    again: list[tuple[str, int]] = []
    transfer(source, url, lambda table, done: again.append((table, done)))

    assert ("faces", 3) in seen
    assert again[0] == ("faces", 9)
    with closing(open_migrated(url, cipher)) as copy:
        assert AuditLog(copy).verify().fault is None


def test_a_copy_that_differs_is_found(source: Database, url: str) -> None:
    def damage(table: str, _: int) -> None:
        if table == "faces":
            with psycopg.connect(url) as db:
                db.execute("UPDATE faces SET enrolled_at = '' WHERE id = '4'")

    with pytest.raises(DifferentCopy, match="gallery number 1, faces: expected 13 rows, got 13, or other ones"):
        transfer(source, url, damage)


def test_an_unfinished_copy_of_another_gallery_is_not_continued(source: Database, url: str, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        transfer(source, url, _interrupt)
    fill(tmp_path / "another.sqlite3", None)
    with (
        closing(open_sqlite(tmp_path / "another.sqlite3")) as another,
        pytest.raises(StartError, match="another gallery"),
    ):
        transfer(another, url)


def test_a_database_in_use_is_left_alone(source: Database, url: str) -> None:
    with closing(FileRepository(url)) as used:
        used.create_gallery("guests")
        before = used.galleries()

        with pytest.raises(StartError, match="expected an empty database, got one with rows in galleries"):
            transfer(source, url)
        assert used.galleries() == before


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
