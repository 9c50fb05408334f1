"""Transactions in PostgreSQL take turns, are whole or nothing, and say in the domain's words what prevents them."""

from contextlib import closing, suppress

import psycopg
import pytest

from app.audit.log import AuditLog, append
from app.domain.errors import Overloaded, ServiceError, StorageUnavailable
from app.domain.identity import SYSTEM
from app.storage.postgresql.database import Database
from app.storage.postgresql.migrate import open_migrated
from tests.support.postgres import PostgresServer
from tests.unit.audit.writing import record

END_CONNECTIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test_%' AND pid <> pg_backend_pid()"
)
ADD = "INSERT INTO galleries (id, created_at) VALUES (?, '')"


def ids(database: Database) -> list[str]:
    with database.reading() as db:
        return [row["id"] for row in db.execute("SELECT id FROM galleries ORDER BY id")]


def fail_after_adding(database: Database) -> None:
    with database.writing() as db:
        db.execute(ADD, ("b",))
        raise KeyError


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    with database.writing() as db:
        db.execute(ADD, ("a",))
    with pytest.raises(KeyError):
        fail_after_adding(database)

    assert ids(database) == ["a"]


def test_a_reader_does_not_see_what_others_commit_meanwhile(database: Database, other: Database) -> None:
    with database.reading() as db:
        before = db.execute("SELECT count(*) FROM galleries").fetchone()
        record(other)
        with other.writing() as writer:
            writer.execute(ADD, ("a",))
        after = db.execute("SELECT count(*) FROM galleries").fetchone()

    assert before is not None
    assert after is not None
    assert (before[0], after[0]) == (0, 0)
    assert ids(database) == ["a"]


def test_a_writer_waits_for_another_one_and_then_gives_up(url: str, database: Database) -> None:
    with (
        closing(open_migrated(url, busy_timeout=0.1)) as impatient,
        database.writing(),
        pytest.raises(Overloaded, match="another process is writing"),
        impatient.writing(),
    ):
        pass


def test_a_transaction_in_which_a_statement_failed_is_not_committed(database: Database) -> None:
    def swallow_an_error() -> None:
        with database.writing() as db:
            db.execute(ADD, ("a",))
            with suppress(psycopg.errors.UndefinedTable):
                db.execute("SELECT 1 FROM missing")

    with pytest.raises(ServiceError):
        swallow_an_error()

    assert ids(database) == []


def test_connections_that_the_server_has_ended_are_replaced(
    postgres_server: PostgresServer, database: Database
) -> None:
    record(database)
    postgres_server.execute(END_CONNECTIONS)
    record(database)

    assert len(AuditLog(database).entries()) == 2


def test_an_ended_connection_fails_its_own_transaction_only(
    postgres_server: PostgresServer, database: Database
) -> None:
    def lose_the_connection() -> None:
        with database.writing() as db:
            append(db, SYSTEM, "note", "")
            postgres_server.execute(END_CONNECTIONS)
            db.execute(ADD, ("a",))

    with pytest.raises(StorageUnavailable, match="the database cannot be used now"):
        lose_the_connection()
    verdict = AuditLog(database).verify()
    assert (verdict.entries, verdict.fault, ids(database)) == (0, None, [])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET entry = '{}'",
        "DELETE FROM audit",
        "UPDATE audit SET seq = 9",
        "INSERT INTO audit (seq, entry, hash) VALUES (9, '{}', '')",
        "TRUNCATE audit",
    ],
)
def test_the_database_itself_refuses_to_change_an_entry(url: str, database: Database, statement: str) -> None:
    record(database)
    with psycopg.connect(url) as db, pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        db.execute(statement.encode())


def test_an_unreachable_server_is_said_without_the_password() -> None:
    with pytest.raises(StorageUnavailable) as caught:
        Database("postgresql://ada:hunter2@127.0.0.1:1/likeness")

    assert "hunter2" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
