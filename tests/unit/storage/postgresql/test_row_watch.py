"""Changes of a row behind the service's back are found, and both databases hash a row alike."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from app.audit.log import AuditLog
from app.gallery.records import IdempotencyRecord
from app.storage.cipher import AesGcmCipher, Cipher, NoCipher
from app.storage.database import Database
from app.storage.row_hashes import sum_rows
from tests.support.repository import FileRepository
from tests.support.templates import numbered

CIPHERS: list[Cipher] = [NoCipher(), AesGcmCipher([bytes(range(32))])]


def fill(repository: FileRepository) -> None:
    repository.put_subject(
        "guests", "Žofie", {"name": "Žofie"}, consent="form 7", expires_at="2099-01-01T00:00:00.000Z"
    )
    record = IdempotencyRecord("key", "digest", {"enrolled": []})
    repository.enroll("guests", "ada", numbered("ada", 1, 2), record)
    repository.enroll("staff", "bob", numbered("bob", 3))
    repository.delete_face("guests", "ada", "2")
    repository.delete_gallery("staff")


@pytest.fixture(params=CIPHERS, ids=["plain", "encrypted"])
def repository(url: str, request: pytest.FixtureRequest) -> Iterator[FileRepository]:
    cipher: Cipher = request.param
    with closing(FileRepository(url, cipher=cipher)) as opened:
        fill(opened)
        yield opened


def fault(database: Database) -> str | None:
    return AuditLog(database).verify().fault


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE faces SET enrolled_at = ''", "gallery 'guests': the rows in faces were changed"),
        ("DELETE FROM subjects WHERE id = 'ada'", "expected 1 rows in faces, got 0"),
        ("INSERT INTO removals VALUES (1, 1, 'x')", "rows in removals"),
        ("UPDATE galleries SET id = 'people'", "were changed"),
        ("DELETE FROM row_digests", "the digests of the rows were changed"),
        ("UPDATE audit_head SET seq = 1", "the head of the log"),
        ("DROP TRIGGER note_row ON faces", "the database has no trigger note_row of faces"),
        ("ALTER TABLE faces DISABLE TRIGGER note_row", "the trigger note_row of faces is not the one"),
        ("CREATE TABLE foreign_table (x int)", "table foreign_table, which is not ours"),
    ],
)
def test_what_another_program_changes_is_named(
    repository: FileRepository, url: str, statement: str, named: str
) -> None:
    before = fault(repository.database)
    with psycopg.connect(url) as db:
        db.execute(statement.encode())

    assert before is None
    assert named in (fault(repository.database) or "")


def test_a_change_behind_the_service_stays_known_after_its_next_change(repository: FileRepository, url: str) -> None:
    with psycopg.connect(url) as db:
        db.execute("UPDATE faces SET enrolled_at = ''")
    repository.put_subject("guests", "eve", {})

    assert "rows in faces were changed" in (fault(repository.database) or "")


def test_rows_are_hashed_as_in_sqlite(url: str, tmp_path: Path) -> None:
    moment = "2026-01-01T00:00:00.000Z"
    values = [
        ("INSERT INTO galleries (number, id, model, revision, created_at) VALUES (7, 'Žofie', NULL, 3, ?)", (moment,)),
        (
            "INSERT INTO subjects (gallery, id, metadata, created_at, key_slot) VALUES (7, 'a', ?, ?, 12)",
            (b"\0\xff'", moment),
        ),
        (
            "INSERT INTO faces (gallery, subject, id, vector, detection, revision, enrolled_at) "
            "VALUES (7, 'a', 'f', ?, ?, 3, ?)",
            (bytes(range(256)), b"", moment),
        ),
        (
            "INSERT INTO api_keys (id, name, hash, scopes, rate, created_at) VALUES ('k', '\\x00', ?, '[]', 5, ?)",
            (b"\1", moment),
        ),
    ]
    sums = []
    for address in (url, tmp_path / "gallery.sqlite3"):
        with closing(FileRepository(address)) as opened:
            with opened.database.writing() as db:
                for statement, bound in values:
                    db.execute(statement, bound)
            with opened.database.reading() as db:
                sums.append(sum_rows(db, b"key"))
                assert db.rows
                sums.append(db.rows._stored_parts())

    assert sums[0] == sums[2] != {}
    assert sums[1] == sums[3] != {}
