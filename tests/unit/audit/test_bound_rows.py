"""Rows are bound to the log: a database whose rows are not watched, or without their key, is not written to."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from app.audit.log import AuditLog
from app.domain.errors import ServiceError
from app.domain.identity import SYSTEM
from app.gallery import key_rotation
from app.storage import ledger, row_digests
from app.storage.cipher import AesGcmCipher
from app.storage.sqlite import Database
from tests.support.repository import FileRepository, open_database
from tests.support.tampering import rewrite_chain, run_sql, sign_head, without_triggers
from tests.support.templates import numbered
from tests.unit.audit.writing import record

KEY = AesGcmCipher([bytes(32)])


@pytest.fixture
def filled(path: Path) -> Path:
    with closing(FileRepository(path)) as repository:
        repository.enroll("guests", "ada", numbered("ada", 1))
    return path


@pytest.mark.parametrize(
    "write",
    [
        record,
        lambda database: AuditLog(database).accept(SYSTEM),
        lambda database: key_rotation.rotate(database, KEY, SYSTEM),
    ],
    ids=["an entry", "accepted rows", "another key"],
)
def test_without_watching_the_rows_nothing_is_written(filled: Path, write: Callable[[Database], object]) -> None:
    with closing(Database(filled)) as unwatched:
        before = AuditLog(unwatched).entries()
        with pytest.raises(ServiceError, match="expected a database whose rows are watched"):
            write(unwatched)

        assert AuditLog(unwatched).entries() == before
        assert AuditLog(unwatched).verify().fault == "the database has no digests of its rows"


def test_rows_cannot_be_bound_without_digests(filled: Path) -> None:
    with (
        closing(Database(filled)) as unwatched,
        pytest.raises(ServiceError, match="expected a file with row digests"),
        unwatched.writing() as db,
    ):
        ledger.begin(db)


def test_a_key_of_a_gallery_that_is_not_encrypted_is_a_fault(filled: Path) -> None:
    with closing(open_database(filled, KEY)) as database:
        verdict = AuditLog(database).verify()

    assert verdict.fault == "an encryption key is given, but the gallery is not encrypted"


def test_without_the_key_of_the_row_digests_nothing_is_written(path: Path) -> None:
    with closing(FileRepository(path, cipher=KEY)) as repository:
        repository.enroll("guests", "ada", numbered("ada", 1))
    run_sql(path, "DELETE FROM metadata WHERE name = 'row_key'")
    with (
        closing(FileRepository(path, cipher=KEY)) as repository,
        pytest.raises(ServiceError, match="the key of the row digests was removed from the database: restore a backup"),
    ):
        repository.enroll("guests", "ada", numbered("ada", 2))


def test_many_rows_of_one_transaction_are_bound_as_few_are(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_digests, "_MAX_NOTED", 3)
    with closing(FileRepository(path)) as repository:
        repository.enroll("guests", "ada", numbered("ada", *range(9)))
        assert AuditLog(repository.database).verify().fault is None
    run_sql(path, "DELETE FROM faces WHERE id = '5'")
    with closing(open_database(path)) as database:
        assert AuditLog(database).verify().fault is not None


def test_rows_that_are_not_those_of_the_newest_entry_are_a_fault(filled: Path) -> None:
    with without_triggers(filled) as db:
        (state,) = db.execute("SELECT state FROM audit_head").fetchone()
        rewrite_chain(db, state, "0" * 64)
        sign_head(db)
    with closing(open_database(filled)) as database:
        verdict = AuditLog(database).verify()

    assert verdict.fault == "the rows are not those of the newest entry"
