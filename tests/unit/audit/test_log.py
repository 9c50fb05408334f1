"""Entries are read in the order they were written, belong to the transaction of their change, and stay."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.audit import log as audit_log
from app.audit.log import AuditLog, append
from app.domain.clock import format_time
from app.domain.errors import ServiceError
from app.domain.identity import Actor
from app.storage.database import Connection, Database
from app.storage.ledger import GENESIS_HASH
from tests.support.background import map_in_threads
from tests.support.repository import open_database
from tests.unit.audit.writing import record

pytestmark = pytest.mark.any_database

TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12
)  # no id has a NUL
SHARED = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
ADA = Actor("key:ada", "r-1")


@pytest.fixture
def other(address: Path | str) -> Iterator[Database]:
    """The database as another process has it open."""
    opened = open_database(address)
    yield opened
    opened.close()


def test_an_entry_says_when_who_what_and_to_whom(log: AuditLog, database: Database) -> None:
    before = format_time(datetime.now(UTC))
    record(database, "face.enroll", "guests", ADA, subject="ada", face="f")
    (entry,) = log.entries()
    assert before <= entry["at"] <= format_time(datetime.now(UTC))
    assert {name: value for name, value in entry.items() if name not in ("at", "hash")} == {
        "seq": 1,
        "by": "key:ada",
        "action": "face.enroll",
        "gallery": "guests",
        "subject": "ada",
        "face": "f",
        "request_id": "r-1",
    }


def test_what_there_is_nothing_to_say_of_is_left_out_and_none_is_said_of_zero(
    log: AuditLog, database: Database
) -> None:
    record(database, "gallery.delete", subject="", face=None, faces=0)
    (entry,) = log.entries()
    assert entry.keys() == {"seq", "at", "by", "action", "faces", "hash"}
    assert entry["faces"] == 0


@SHARED
@given(gallery=TEXT, subject=TEXT, by=TEXT, request_id=TEXT)
def test_any_text_is_kept_and_found_again(
    log: AuditLog, database: Database, gallery: str, subject: str, by: str, request_id: str
) -> None:
    record(database, "subject.put", gallery, Actor(by, request_id), subject=subject)
    entry = log.entries(gallery, subject)[-1]
    assert (entry["gallery"], entry["subject"], entry["by"], entry["request_id"]) == (gallery, subject, by, request_id)
    assert log.verify().fault is None


def test_entries_are_found_by_gallery_and_by_subject(log: AuditLog, database: Database) -> None:
    pairs = [("guests", "ada"), ("guests", "bob"), ("staff", "ada"), ("guests", "ada")]
    for gallery, subject in pairs:
        record(database, "subject.put", gallery, subject=subject)
    record(database, "key.create")
    assert [each["seq"] for each in log.entries()] == [1, 2, 3, 4, 5]
    assert [each["seq"] for each in log.entries("guests")] == [1, 2, 4]
    assert [each["seq"] for each in log.entries("guests", "ada")] == [1, 4]
    assert [each["seq"] for each in log.entries(subject="ada")] == [1, 3, 4]
    assert log.entries("'; DROP TABLE audit; --") == []


def test_an_empty_log_is_whole(log: AuditLog) -> None:
    verdict = log.verify()
    assert (verdict.entries, verdict.head, verdict.fault) == (0, GENESIS_HASH, None)
    assert log.verify(GENESIS_HASH).fault is None


def test_every_head_that_ever_was_is_part_of_the_chain(log: AuditLog, database: Database) -> None:
    heads = []
    for number in range(5):
        record(database, "subject.put", "guests", subject=str(number))
        heads.append(log.verify().head)
    assert len(set(heads)) == 5
    assert [log.verify(head).fault for head in heads] == [None] * 5
    assert log.verify("f" * 64).fault == f"no entry has the hash {'f' * 64}: the log was replaced or cut"


@pytest.mark.only_sqlite
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET entry = '{}'",
        "DELETE FROM audit",
        "UPDATE audit SET seq = 9",
        "INSERT OR REPLACE INTO audit VALUES (1, '{}', '')",
    ],
)
def test_the_database_itself_refuses_to_change_an_entry(log: AuditLog, database: Database, statement: str) -> None:
    record(database, "subject.put", "guests", ADA, subject="ada")
    before = log.entries()
    with pytest.raises(ServiceError, match="append-only"), database.writing() as db:
        db.execute(statement)
    assert log.entries() == before


def note_and_fail(database: Database) -> None:
    with database.writing() as db:
        append(db, ADA, "subject.delete", "guests", subject="ada")
        db.execute("DELETE FROM missing")


def test_an_entry_is_not_there_without_its_change(log: AuditLog, database: Database) -> None:
    record(database, "subject.put", "guests", subject="ada")
    with pytest.raises(ServiceError, match=r"no such table|does not exist"):
        note_and_fail(database)
    record(database, "subject.put", "guests", subject="bob")
    assert [each["action"] for each in log.entries()] == ["subject.put", "subject.put"]
    assert log.verify().fault is None


def test_what_several_processes_write_at_once_is_one_chain(log: AuditLog, database: Database, other: Database) -> None:
    map_in_threads(lambda number: record((database, other)[number % 2], gallery=str(number)), range(40), 4)
    verdict = log.verify()
    assert (verdict.entries, verdict.fault) == (40, None)
    assert sorted(int(each["gallery"]) for each in log.entries()) == list(range(40))


def test_an_entry_that_comes_while_the_chain_is_walked_is_no_fault(
    log: AuditLog, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(other)
    end_fault = audit_log._end_fault

    def write_meanwhile(db: Connection, seq: int) -> str | None:
        record(other)
        return end_fault(db, seq)

    monkeypatch.setattr(audit_log, "_end_fault", write_meanwhile)
    assert log.verify().fault is None
    assert len(log.entries()) == 2
