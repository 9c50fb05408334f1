"""`likeness migrate` copies a large gallery whole, although it is killed, and its database is."""

import base64
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.bootstrap.storage import GALLERY_FILE
from app.gallery.export_lines import FORMAT
from app.gallery.import_export import import_gallery
from app.storage.cipher import AesGcmCipher, parse_keys
from tests.support.commands import encryption_key, eventually, outputs_of
from tests.support.lengths import length, report
from tests.support.postgres import PostgresServer, running_server
from tests.support.repository import FileRepository
from tests.support.server import REPOSITORY, environment
from tests.support.templates import MODEL, unit

FACES = length(12_000, 100_000)
A_SUBJECT = 2
SAMPLE = 200
ROWS = {
    "galleries": "number, id, model, dimension, revision, created_at, sealed_seed",
    "subjects": "gallery, id, metadata, consent, expires_at, created_at, key_slot",
    "faces": "gallery, id, subject, vector, detection, enrolled_at, revision",
    "audit": "seq, entry, hash",
}


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    """A server of its own, which is killed."""
    with running_server() as server:
        yield server


class Copy:
    """`likeness migrate` as a process."""

    def __init__(self, data_dir: Path, key: str, url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "app", "migrate", "--to", url, "--json"],
            cwd=REPOSITORY,
            env=environment(data_dir, LIKENESS_ENCRYPTION_KEY=key),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def is_running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def end(self) -> tuple[int, bytes, float]:
        """Return its exit status, what it printed, and the seconds of processor time that it took."""
        before = os.times()
        output, _ = self._process.communicate()
        after = os.times()
        used = after.children_user + after.children_system - before.children_user - before.children_system
        return self._process.returncode, output, used


@pytest.mark.timeout(1800)
def test_a_copy_goes_on_after_kills_and_is_equal(tmp_path: Path, postgres: PostgresServer) -> None:
    key = encryption_key()
    data_dir = fill(tmp_path, key)
    with postgres.database() as url:
        copy = Copy(data_dir, key, url)
        wait_for_rows(url, "faces", copy)
        copy.kill()
        first = transaction_of_first_face(url)
        copy = Copy(data_dir, key, url)
        wait_for_rows(url, "audit", copy)
        postgres.stop(signal.SIGKILL)
        status, output, _ = copy.end()
        postgres.start()
        assert (status, json.loads(output)["code"]) == (2, "storage_unavailable")
        status, output, _ = Copy(data_dir, key, url).end()

        assert status == 0, output
        assert transaction_of_first_face(url) == first  # what was there was not copied again
        compare(data_dir / GALLERY_FILE, url, key)
        settings = {"LIKENESS_ENCRYPTION_KEY": key, "LIKENESS_DATABASE": url}
        checked, verified = outputs_of((data_dir, ["gallery", "check"]), (data_dir, ["audit", "verify"]), **settings)
        assert checked == "no damage found\n"
        assert verified.startswith("whole: ")
    with postgres.database() as url:
        status, _, seconds = Copy(data_dir, key, url).end()
        assert status == 0
        report(f"\n{FACES} faces copied without a kill: {FACES / seconds:.0f} a second of processor time")


def fill(tmp_path: Path, key: str) -> Path:
    file, data_dir = tmp_path / "guests.jsonl", tmp_path / "data"
    with file.open("w") as lines:
        lines.write(json.dumps({"format": FORMAT, "gallery": "guests", "model": MODEL}) + "\n")
        for number in range(0, FACES, A_SUBJECT):
            faces = [face(each) for each in range(number, number + A_SUBJECT)]
            line = {"subject_id": f"subject {number}", "metadata": {"number": number}, "faces": faces}
            lines.write(json.dumps(line) + "\n")
    with closing(FileRepository(data_dir / GALLERY_FILE, cipher=AesGcmCipher(parse_keys(key)))) as repository:
        import_gallery(repository, "guests", file)
    return data_dir


def face(number: int) -> dict[str, Any]:
    return {
        "face_id": f"face {number}",
        "vector": base64.b64encode(unit(number, 128).tobytes()).decode(),
        "enrolled_at": "2026-01-02T03:04:05.678Z",
    }


def wait_for_rows(url: str, table: str, copy: Copy) -> None:
    def has_rows() -> bool:
        assert copy.is_running(), copy.end()
        with psycopg.connect(url) as db:
            query = f"SELECT 1 FROM {table} LIMIT 1"  # noqa: S608
            return db.execute(query.encode()).fetchone() is not None

    assert eventually(has_rows, within=600)


def transaction_of_first_face(url: str) -> object:
    with psycopg.connect(url) as db:
        row = db.execute("SELECT xmin::text FROM faces ORDER BY rowid LIMIT 1").fetchone()
    assert row
    return row[0]


def compare(path: Path, url: str, key: str) -> None:
    """Compare all rows as they are stored, and some subjects as they are read."""
    with closing(sqlite3.connect(path)) as old, psycopg.connect(url) as new:
        for table, columns in ROWS.items():
            query = f"SELECT {columns} FROM {table} ORDER BY 1, 2"  # noqa: S608
            expected, found = old.execute(query).fetchall(), new.execute(query.encode()).fetchall()
            assert found[: len(expected)] == expected
            assert len(found) - len(expected) == (table == "audit")  # the entry of the copy itself
    cipher = AesGcmCipher(parse_keys(key))
    with closing(FileRepository(path, cipher=cipher)) as before, closing(FileRepository(url, cipher=cipher)) as after:
        for number in random.Random(1).sample(range(0, FACES, A_SUBJECT), SAMPLE):  # noqa: S311
            subject = f"subject {number}"
            assert after.subject("guests", subject) == before.subject("guests", subject)
            pairs = [each.faces("guests", subject) for each in (after, before)]
            assert [vectors(each) for each in pairs] == [vectors(pairs[1])] * 2
            assert len(pairs[0]) == A_SUBJECT


def vectors(faces: list[Any]) -> list[tuple[str, bytes]]:
    return [(each.face_id, each.embedding.vector.tobytes()) for each in faces]
