"""Cursors that outlive their transaction, as the traceback of an error keeps them, are freed in any thread."""

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

from app.storage.sqlite_file import connect

INSERT = "INSERT INTO faces (vector) VALUES (?) ON CONFLICT DO NOTHING"


def test_a_cursor_that_is_freed_late_leaves_the_statement_of_another_transaction_alone(tmp_path: Path) -> None:
    kept: list[sqlite3.Cursor] = []
    over = threading.Event()

    def free() -> None:
        while not over.is_set():
            if kept:
                kept.pop()
            time.sleep(0)

    with closing(connect(tmp_path / "file", 10)) as db:
        db.execute("CREATE TABLE faces (id INTEGER PRIMARY KEY, vector BLOB)")
        db.create_function("note", 1, lambda _: time.sleep(0))  # lets the other thread run within a statement
        db.execute("CREATE TEMP TRIGGER watch AFTER INSERT ON faces BEGIN SELECT note(new.id); END")
        thread = threading.Thread(target=free, daemon=True)
        thread.start()
        try:
            for _ in range(300):
                db.execute("BEGIN IMMEDIATE")
                kept.append(db.executemany(INSERT, [(bytes(500),)] * 20))
                assert db.executemany(INSERT, [(bytes(500),)] * 20).rowcount == 20
                db.execute("ROLLBACK")
        finally:
            over.set()
            thread.join()
