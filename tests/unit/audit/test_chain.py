"""Whoever changes the file behind the log's back is found out: any one entry edited, removed, put in or moved."""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.audit.log import AuditLog, Verdict
from app.domain.identity import Actor
from app.storage.ledger import GENESIS_HASH, chain_hash
from app.storage.migrate import open_migrated
from tests.support.tampering import sign_head
from tests.unit.audit.writing import record

pytestmark = pytest.mark.any_database

GUARDS = ["audit", "audit_is_appended_to", "audit_is_not_changed", "audit_is_not_deleted"]
LENGTH = 7
SEQ = st.integers(1, LENGTH)
OTHER_SEQ = st.integers(-(2**62), 2**62).filter(lambda seq: not 1 <= seq <= LENGTH)
ENTRY = st.dictionaries(st.sampled_from(["by", "subject", "gallery"]), st.text(max_size=9), max_size=3).map(json.dumps)
HASH = st.text("0123456789abcdef", min_size=64, max_size=64)
MANY = settings(max_examples=50)
Tamper = Callable[[sqlite3.Connection], object]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of a few entries, closed."""
    path = tmp_path_factory.mktemp("log") / "whole.sqlite3"
    with closing(open_migrated(path)) as database:
        for number in range(LENGTH):
            record(database, "subject.put", "guests", Actor("key:ada", f"r-{number}"), subject=f"subject {number}")
    return path


@contextmanager
def tampered(whole: Path, tamper: Tamper) -> Iterator[AuditLog]:
    """A copy of the log after `tamper`, for which its guards were taken off and put back on."""
    path = whole.with_name("copy.sqlite3")
    shutil.copyfile(whole, path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA synchronous = OFF")
        guards = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in guards:
            db.execute(f"DROP TRIGGER {name}")
        tamper(db)
        for _, sql in guards:
            db.execute(sql)
    with closing(open_migrated(path)) as database:
        yield AuditLog(database)
    path.unlink()


def verified(whole: Path, tamper: Tamper, head: str | None = None) -> Verdict:
    with tampered(whole, tamper) as log:
        return log.verify(head)


def rows(whole: Path) -> list[tuple[int, str, str]]:
    with closing(sqlite3.connect(whole)) as db:
        return list(db.execute("SELECT seq, entry, hash FROM audit ORDER BY seq"))


def remade_from(whole: Path, seq: int, entries: list[str]) -> Tamper:
    """Every entry from `seq` on replaced by `entries`, with hashes as they should be, and nothing left to tell."""
    before = rows(whole)[seq - 2][2] if seq > 1 else GENESIS_HASH

    def tamper(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM audit WHERE seq >= ?", (seq,))
        last = before
        for number, entry in enumerate(entries, start=seq):
            last = chain_hash(last, number, entry)
            db.execute("INSERT INTO audit (seq, entry, hash) VALUES (?, ?, ?)", (number, entry, last))
        db.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'audit'", (seq - 1 + len(entries),))
        sign_head(db)

    return tamper


def test_a_log_that_nobody_touched_is_whole(whole: Path) -> None:
    found = verified(whole, lambda _: None)
    assert found == Verdict(LENGTH, rows(whole)[-1][2], None)


@pytest.mark.parametrize("guard", GUARDS)
def test_a_guard_that_was_taken_off_is_missed(whole: Path, guard: str) -> None:
    kind = "TABLE" if guard == "audit" else "TRIGGER"
    path = shutil.copyfile(whole, whole.with_name("unguarded.sqlite3"))
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"DROP {kind} {guard}")
    with closing(open_migrated(path)) as database:
        found = AuditLog(database).verify()
    assert str(found.fault).startswith("the database has no audit")
    assert guard in str(found.fault)


@MANY
@given(seq=SEQ, entry=ENTRY)
def test_an_entry_that_was_edited_is_named(whole: Path, seq: int, entry: str) -> None:
    found = verified(whole, lambda db: db.execute("UPDATE audit SET entry = ? WHERE seq = ?", (entry, seq)))
    assert (found.entries, found.fault) == (seq - 1, f"entry {seq} was changed, or one before it")


@settings(max_examples=20)
@given(seq=SEQ, entry=ENTRY)
def test_an_entry_edited_with_a_hash_to_fit_is_found_by_the_next_or_by_a_head(
    whole: Path, seq: int, entry: str
) -> None:
    before, head = [GENESIS_HASH, *(written for *_, written in rows(whole))][seq - 1], rows(whole)[-1][2]
    edit = "UPDATE audit SET entry = ?, hash = ? WHERE seq = ?"
    found = verified(whole, lambda db: db.execute(edit, (entry, chain_hash(before, seq, entry), seq)), head)
    assert (found.entries, found.fault is None) == (seq, False)


def test_the_hash_is_what_it_was_when_heads_were_noted() -> None:
    by_hand = hashlib.sha256(b'00ff\n12\n{"subject": "\xc5\xbdofie"}').hexdigest()
    assert chain_hash("00ff", 12, '{"subject": "Žofie"}') == by_hand


@settings(max_examples=20)
@given(seq=SEQ, written=HASH)
def test_a_hash_that_was_edited_is_named(whole: Path, seq: int, written: str) -> None:
    found = verified(whole, lambda db: db.execute("UPDATE audit SET hash = ? WHERE seq = ?", (written, seq)))
    assert (found.entries, found.fault) == (seq - 1, f"entry {seq} was changed, or one before it")


@pytest.mark.parametrize("seq", range(1, LENGTH))
def test_an_entry_that_was_removed_is_named(whole: Path, seq: int) -> None:
    found = verified(whole, lambda db: db.execute("DELETE FROM audit WHERE seq = ?", (seq,)))
    assert (found.entries, found.fault) == (seq - 1, f"expected entry {seq}, got {seq + 1}")


@pytest.mark.parametrize("kept", range(LENGTH))
def test_an_end_that_was_cut_off_is_missed(whole: Path, kept: int) -> None:
    found = verified(whole, lambda db: db.execute("DELETE FROM audit WHERE seq > ?", (kept,)))
    assert found.fault == f"the entries after {kept} are missing"


@MANY
@given(seq=SEQ, to=OTHER_SEQ)
def test_an_entry_that_was_moved_is_found(whole: Path, seq: int, to: int) -> None:
    assert verified(whole, lambda db: db.execute("UPDATE audit SET seq = ? WHERE seq = ?", (to, seq))).fault


@settings(max_examples=30)
@given(pair=st.lists(SEQ, min_size=2, max_size=2, unique=True), columns=st.sampled_from(["entry", "entry, hash"]))
def test_two_entries_that_changed_places_are_found(whole: Path, pair: list[int], columns: str) -> None:
    one, other = sorted(pair)
    swap = f"""UPDATE audit SET ({columns}) = (SELECT {columns} FROM audit AS twin WHERE twin.seq = :sum - audit.seq)
        WHERE seq IN (:one, :other)"""  # noqa: S608
    named = {"one": one, "other": other, "sum": one + other}
    with tampered(whole, lambda db: db.execute(swap, named)) as log:
        subjects = [entry["subject"] for entry in log.entries()]
        found = log.verify()
    assert subjects[one - 1] != f"subject {one - 1}"
    assert (found.entries, found.fault) == (one - 1, f"entry {one} was changed, or one before it")


@MANY
@given(seq=OTHER_SEQ | st.sampled_from([-1, 0, LENGTH + 1]), entry=ENTRY, written=HASH)
def test_an_entry_that_was_put_in_is_found(whole: Path, seq: int, entry: str, written: str) -> None:
    found = verified(
        whole, lambda db: db.execute("INSERT INTO audit (seq, entry, hash) VALUES (?, ?, ?)", (seq, entry, written))
    )
    assert found.fault


@settings(max_examples=30)
@given(seq=SEQ, entries=st.lists(ENTRY, max_size=LENGTH))
def test_a_chain_made_anew_is_whole_but_lacks_the_head_that_was_noted(
    whole: Path, seq: int, entries: list[str]
) -> None:
    head = rows(whole)[-1][2]
    with tampered(whole, remade_from(whole, seq, entries)) as log:
        alone, noted = log.verify(), log.verify(head)
    assert (alone.entries, alone.fault) == (seq - 1 + len(entries), None)
    assert noted.fault == f"no entry has the hash {head}: the log was replaced or cut"


@settings(max_examples=10)
@given(seq=st.integers(2, LENGTH), entries=st.lists(ENTRY, max_size=3))
def test_a_head_noted_before_what_was_made_anew_says_nothing(whole: Path, seq: int, entries: list[str]) -> None:
    head = rows(whole)[seq - 2][2]
    assert verified(whole, remade_from(whole, seq, entries), head).fault is None
