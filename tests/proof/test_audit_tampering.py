"""Show what somebody who can write to the database file, and has no key, can and cannot do unnoticed (SECURITY.md)."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from app.access.api_keys import KeyStore
from app.audit.log import AuditLog, Verdict
from app.domain.errors import ServiceError, StartError
from app.domain.identity import Actor, Scope
from app.gallery import key_rotation
from app.storage.cipher import AesGcmCipher, Cipher
from app.storage.key_file import key_path
from app.storage.ledger import chain_hash
from tests.support.repository import FileRepository
from tests.support.tampering import cut_log, rewrite_chain, sign_again, sign_head, without_triggers
from tests.support.templates import numbered

BY = Actor("key:ada", "r-1")
KEY, NEW_KEY = AesGcmCipher([bytes([1]) * 32]), AesGcmCipher([bytes([2]) * 32, bytes([1]) * 32])
ADD_FACE = """INSERT INTO faces (gallery, subject, id, vector, detection, revision, enrolled_at)
    SELECT gallery, subject, 'added', vector, detection, revision, enrolled_at FROM faces WHERE id = '1'"""
SWAP = """UPDATE faces SET vector = (SELECT vector FROM faces AS other WHERE other.id IN ('1', '3') AND id <> faces.id)
    WHERE id IN ('1', '3')"""
ADD_KEY = """INSERT INTO api_keys (id, name, hash, scopes, created_at)
    VALUES ('evil', '', zeroblob(32), '["admin"]', '2026-01-01T00:00:00.000Z')"""
EMPTY_TRIGGER = "CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit BEGIN SELECT 1; END"
FOREIGN_TRIGGER = "CREATE TRIGGER copy AFTER INSERT ON faces BEGIN SELECT 1; END"
NEWER_TABLES = ["new_vectors", "re_embeddings", "crops", "row_digests", "audit_head"]
MAKE_OLDER = [*(f"DROP TABLE {name}" for name in NEWER_TABLES), "DELETE FROM metadata WHERE name = 'row_key'"]
BEFORE_DIGESTS = 7

Attack = Callable[[sqlite3.Connection], object]


def sql(*statements: str) -> Attack:
    return lambda db: [db.execute(statement) for statement in statements]


def replay_metadata(db: sqlite3.Connection) -> None:
    (older,) = db.execute("SELECT sealed FROM kept").fetchone()
    db.execute("DROP TABLE kept")
    db.execute("UPDATE subjects SET metadata = ? WHERE id = 'ada'", (older,))


def make_older(db: sqlite3.Connection) -> None:
    """Make the file one of the version before the digests, so that the next start computes them anew."""
    sql(*MAKE_OLDER, ADD_FACE, f"PRAGMA user_version = {BEFORE_DIGESTS}")(db)


ATTACKS: dict[str, tuple[Attack, str]] = {
    "a face is added": (sql(ADD_FACE), "gallery 'guests': expected 3 rows in faces, got 4"),
    "a face is deleted": (sql("DELETE FROM faces WHERE id = '1'"), "gallery 'guests': expected 3 rows in faces, got 2"),
    "a subject is deleted": (sql("DELETE FROM subjects WHERE id = 'ada'"), "expected 2 rows in subjects, got 1"),
    "a gallery is deleted": (sql("DELETE FROM galleries"), "gallery number 1: expected 1 rows in galleries, got 0"),
    "two vectors are swapped": (sql(SWAP), "gallery 'guests': the rows in faces were changed"),
    "sealed metadata is replayed": (replay_metadata, "gallery 'guests': the rows in subjects were changed"),
    "a face gets another time": (sql("UPDATE faces SET enrolled_at = '2030'"), "the rows in faces were changed"),
    "a gallery gets another model": (sql("UPDATE galleries SET model = 'x'"), "the rows in galleries were changed"),
    "an API key is added": (sql(ADD_KEY), "expected 2 rows in api_keys, got 3"),
    "a revoked key is made valid": (sql("UPDATE api_keys SET revoked_at = NULL"), "the rows in api_keys were changed"),
    "a face and its digest are deleted": (
        sql("DELETE FROM faces", "DELETE FROM row_digests WHERE relation = 'faces'"),
        "the rows are not those of the digest of all rows",
    ),
    "the digest of all rows is changed": (
        sql("UPDATE row_digests SET sum = zeroblob(512) WHERE relation = ''"),
        "the digests of the rows were changed",
    ),
    "the head is removed": (sql("DELETE FROM audit_head"), "the head of the log was removed or changed"),
    "the newest entries are deleted": (
        lambda db: cut_log(db, 2),
        "expected the log to end with entry 9, got 7",
    ),
    "the chain is rewritten": (lambda db: rewrite_chain(db, "key:ada", "key:eve"), "or the end was rewritten"),
    "the file is made older": (make_older, "binds the rows anew"),
}


@pytest.fixture(params=[None, KEY], ids=["plain", "encrypted"])
def cipher(request: pytest.FixtureRequest) -> Cipher | None:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def whole(tmp_path: Path, cipher: Cipher | None) -> Path:
    """A file with rows in every table, nine entries, and older metadata of `ada` in the table `kept`."""
    path = tmp_path / "gallery.sqlite3"
    with closing(FileRepository(path, cipher=cipher)) as repository:
        keys = KeyStore(repository.database)
        keys.create([Scope.VERIFY], by=BY)
        keys.revoke(keys.create([Scope.ADMIN], by=BY)[0].id, BY)
        repository.put_subject("guests", "ada", {"access": "all floors"}, BY)
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("CREATE TABLE kept AS SELECT metadata AS sealed FROM subjects")
        repository.put_subject("guests", "ada", {"access": "none"}, BY)
        repository.enroll("guests", "ada", numbered("ada", 1, 2), by=BY)
        repository.enroll("guests", "bob", numbered("bob", 3), by=BY)
    return path


@pytest.fixture
def plain_tables(whole: Path) -> Path:
    with closing(sqlite3.connect(whole)) as db, db:
        db.execute("DROP TABLE kept")
    return whole


def attack(path: Path, change: Attack) -> None:
    with without_triggers(path) as db:
        change(db)
        db.execute("DROP TABLE IF EXISTS kept")


def verify(path: Path, cipher: Cipher | None, head: str | None = None) -> Verdict:
    with closing(FileRepository(path, cipher=cipher)) as repository:
        return AuditLog(repository.database).verify(head)


def head_of(path: Path) -> str:
    with closing(sqlite3.connect(path)) as db:
        return str(db.execute("SELECT hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()[0])


def test_an_untouched_file_is_whole(plain_tables: Path, cipher: Cipher | None) -> None:
    assert verify(plain_tables, cipher, head_of(plain_tables)) == Verdict(9, head_of(plain_tables), None)


@pytest.mark.parametrize("name", ATTACKS)
def test_what_sql_changed_is_found(whole: Path, cipher: Cipher | None, name: str) -> None:
    change, fault = ATTACKS[name]
    attack(whole, change)

    assert fault in str(verify(whole, cipher).fault)


@pytest.mark.parametrize("name", ATTACKS)
def test_a_later_change_by_the_service_does_not_cover_it_up(whole: Path, cipher: Cipher | None, name: str) -> None:
    attack(whole, ATTACKS[name][0])
    with closing(FileRepository(whole, cipher=cipher)) as repository:
        repository.put_subject("guests", "zoe", {}, BY)
        repository.put_subject("staff", "zoe", {}, BY)

    assert verify(whole, cipher).fault


@pytest.mark.parametrize("name", ATTACKS)
def test_a_new_encryption_key_does_not_cover_it_up(whole: Path, cipher: Cipher | None, name: str) -> None:
    attack(whole, ATTACKS[name][0])
    with closing(FileRepository(whole, cipher=cipher)) as repository, suppress(ServiceError):
        key_rotation.rotate(repository.database, NEW_KEY, BY)  # refuses values that were moved to another row

    assert verify(whole, NEW_KEY).fault


@pytest.mark.parametrize(
    ("statements", "fault"),
    [
        (["DROP TRIGGER audit_is_not_deleted", EMPTY_TRIGGER], "the trigger audit_is_not_deleted is not the one"),
        ([FOREIGN_TRIGGER], "the database has a trigger copy, which is not ours"),
        (["DROP INDEX faces_by_revision"], "the database has no faces_by_revision"),
        (["DROP TRIGGER audit_is_appended_to"], "the database has no audit_is_appended_to"),
        (["DROP TABLE row_digests"], "the database has no row_digests"),
        (["CREATE TABLE copies (vector BLOB)"], "the database has a table copies, which is not ours"),
    ],
)
def test_another_schema_is_found(plain_tables: Path, cipher: Cipher | None, statements: list[str], fault: str) -> None:
    with closing(sqlite3.connect(plain_tables)) as db, db:
        for statement in statements:
            db.execute(statement)

    assert fault in str(verify(plain_tables, cipher).fault)


def test_without_a_key_everything_can_be_signed_again_but_not_to_fit_a_head_kept_elsewhere(
    plain_tables: Path, cipher: Cipher | None
) -> None:
    head = head_of(plain_tables)
    with without_triggers(plain_tables) as db:
        db.execute(ADD_FACE)
        sign_again(db)
    if cipher:
        with pytest.raises(StartError, match="not encrypted yet"):
            verify(plain_tables, cipher)
        return

    assert verify(plain_tables, cipher).fault is None
    assert "the log was replaced or cut" in str(verify(plain_tables, cipher, head).fault)


def test_an_entry_can_be_added_to_a_log_that_is_not_encrypted(plain_tables: Path, cipher: Cipher | None) -> None:
    head = head_of(plain_tables)
    with without_triggers(plain_tables) as db:
        text = '{"by": "key:ada", "action": "key.create"}'
        db.execute("INSERT INTO audit (seq, entry, hash) VALUES (10, ?, ?)", (text, chain_hash(head, 10, text)))
        sign_head(db)

    assert (verify(plain_tables, cipher, head).fault is None) == (cipher is None)


def test_a_whole_older_file_is_found_by_a_head_kept_elsewhere_only(plain_tables: Path, cipher: Cipher | None) -> None:
    older = shutil.copyfile(plain_tables, plain_tables.with_name("older.sqlite3"))
    if cipher:
        shutil.copyfile(key_path(plain_tables), key_path(older))
    with closing(FileRepository(plain_tables, cipher=cipher)) as repository:
        repository.delete_subject("guests", "ada", BY)
    head = head_of(plain_tables)

    assert verify(older, cipher).fault is None
    assert "the log was replaced or cut" in str(verify(older, cipher, head).fault)


def test_the_counter_that_searches_follow_is_not_covered(plain_tables: Path, cipher: Cipher | None) -> None:
    attack(plain_tables, sql("UPDATE galleries SET revision = 0"))

    assert verify(plain_tables, cipher).fault is None


def test_what_was_found_can_be_accepted_and_the_log_says_so(whole: Path, cipher: Cipher | None) -> None:
    attack(whole, sql("DELETE FROM faces WHERE id = '1'"))
    with closing(FileRepository(whole, cipher=cipher)) as repository:
        log = AuditLog(repository.database)
        assert log.accept(BY) == ["gallery 'guests': expected 3 rows in faces, got 2"]
        assert log.verify().fault is None
        assert log.entries()[-1]["differences"] == ["gallery 'guests': expected 3 rows in faces, got 2"]


def test_somebody_else_can_read_nothing_out_of_a_digest_about_an_erased_row(
    plain_tables: Path, cipher: Cipher | None
) -> None:
    """The digest after an erasure is that of the remaining rows: the order and the past leave no trace in it."""
    with closing(FileRepository(plain_tables, cipher=cipher)) as repository:
        with repository.database.reading() as db:
            assert db.rows
            before = db.rows.state()
        repository.enroll("guests", "eve", numbered("eve", 9), by=BY)
        repository.delete_subject("guests", "eve", BY)
        with repository.database.writing() as db:
            db.execute("DELETE FROM removals WHERE face = '9'")
        with repository.database.reading() as db:
            assert db.rows
            assert db.rows.state() == before
