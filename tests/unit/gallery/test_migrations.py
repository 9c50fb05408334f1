"""Databases that commit 322169d wrote, before there were schema versions, keep everything (see databases/make.py)."""

import base64
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.access.api_keys import KeyStore
from app.audit.log import AuditLog
from app.domain.embeddings import Embedding
from app.domain.errors import StartError, Unauthorized
from app.gallery.search import GallerySearch
from app.storage.cipher import AesGcmCipher
from app.storage.migrate import open_migrated
from tests.support.fakes import WeightedOffsets
from tests.support.repository import FileRepository
from tests.support.templates import numbered, template, unit
from tests.support.vectors import Near

DATABASES = Path(__file__).with_name("databases")
CIPHERS = {"version_0.sqlite3": None, "version_0_encrypted.sqlite3": AesGcmCipher([bytes([7]) * 32])}
TABLES = ["galleries", "subjects", "faces", "removals", "idempotency_keys", "metadata", "api_keys", "audit"]
TABLES += ["row_digests", "audit_head", "crops", "re_embeddings", "new_vectors"]


@pytest.fixture(params=CIPHERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def expected(name: str) -> dict[str, Any]:
    return expected_of(name)


def expected_of(name: str) -> dict[str, Any]:
    document = dict(json.loads((DATABASES / "expected.json").read_text())[name])
    for person in document["people"].values():
        vectors = {face: np.frombuffer(base64.b64decode(text), np.float32) for face, text in person["faces"].items()}
        person["faces"] = {face: Near(vector) for face, vector in vectors.items()}
    return document


@pytest.fixture
def old(name: str, path: Path) -> Path:
    return Path(shutil.copyfile(DATABASES / name, path))


@pytest.fixture
def migrated(old: Path, name: str) -> Iterator[FileRepository]:
    with closing(FileRepository(old, cipher=CIPHERS[name])) as repository:
        yield repository


def described(repository: FileRepository) -> dict[str, Any]:
    return {
        subject.subject_id: {
            "metadata": subject.metadata,
            "faces": {
                face.face_id: Near(face.embedding.vector) for face in repository.faces("people", subject.subject_id)
            },
            "boxes": [
                [face.face.box.left, face.face.box.top]
                for face in repository.faces("people", subject.subject_id)
                if face.face
            ],
        }
        for subject in repository.subjects("people", 99, "")
    }


def structure(path: Path) -> dict[str, Any]:
    """Columns, keys, indexes and triggers of every table."""
    with closing(sqlite3.connect(path)) as db:
        pragmas = ("table_info", "foreign_key_list", "index_list")
        tables = {name: [db.execute(f"PRAGMA {pragma}({name})").fetchall() for pragma in pragmas] for name in TABLES}
        names = db.execute("SELECT type, name, tbl_name FROM sqlite_master ORDER BY name").fetchall()
        versions = [db.execute(f"PRAGMA {pragma}").fetchone() for pragma in ("user_version", "application_id")]
    return {"tables": tables, "names": names, "versions": versions}


def test_people_stay_and_are_found(migrated: FileRepository, expected: dict[str, Any]) -> None:
    gallery = migrated.gallery("people")
    search = GallerySearch(migrated)
    search.load_indexes()

    assert described(migrated) == expected["people"]
    assert (gallery.model, gallery.revision, gallery.dimension) == (expected["model"], expected["revision"], 128)
    assert migrated.check_integrity() == []
    for subject, person in expected["people"].items():
        for face, stored in person["faces"].items():
            _, (hit,) = search.search("people", Embedding(stored.vector, gallery.model or ""), 1, 0.01)
            assert (hit.subject_id, hit.face_id) == (subject, face)


def test_faces_of_old_galleries_have_threshold_offsets(old: Path, name: str, expected: dict[str, Any]) -> None:
    offsets = WeightedOffsets(unit(7, 128).tolist(), expected["model"])
    with closing(FileRepository(old, cipher=CIPHERS[name], offsets=offsets)) as repository:
        search = GallerySearch(repository)
        for subject in expected["people"]:
            for face in repository.faces("people", subject):
                _, hits = search.search("people", face.embedding, 9, 4.0)
                (own,) = (hit for hit in hits if hit.face_id == face.face_id)

                assert face.embedding.threshold_offset == pytest.approx(float(face.embedding.vector @ unit(7, 128)))
                assert own.pair.offset == pytest.approx(2 * face.embedding.threshold_offset)


def test_saved_responses_stay(migrated: FileRepository, expected: dict[str, Any]) -> None:
    assert len(expected["answers"]) == 3
    for subject, key, digest, response in expected["answers"]:
        assert migrated.saved_response("people", subject, key, digest) == response


def test_api_keys_stay_and_a_revoked_one_stays_revoked(migrated: FileRepository, expected: dict[str, Any]) -> None:
    keys = KeyStore(migrated.database)

    assert keys.authenticate(expected["keys"]["active"]).galleries == frozenset({"people"})
    with pytest.raises(Unauthorized):
        keys.authenticate(expected["keys"]["revoked"])


def test_the_audit_chain_stays_and_goes_on(migrated: FileRepository, name: str, expected: dict[str, Any]) -> None:
    log = AuditLog(migrated.database)
    before, added = log.verify(), [each["action"] for each in log.entries()[expected["entries"] :]]
    migrated.delete_subject("people", "hopper")
    after = log.verify(expected["head"])

    assert log.entries()[expected["entries"] - 1]["hash"] == expected["head"]
    converted = len(migrated.galleries()) if CIPHERS[name] else 0  # each gallery gets data keys
    assert added == ["audit.begin"] + ["gallery.encrypt"] * converted
    assert (before.entries, before.fault) == (expected["entries"] + len(added), None)
    assert (after.entries, after.fault) == (before.entries + 1, None)


def test_a_migrated_file_is_like_a_new_one(migrated: FileRepository, old: Path, tmp_path: Path) -> None:
    open_migrated(tmp_path / "new.sqlite3").close()

    assert structure(old) == structure(tmp_path / "new.sqlite3")
    migrated.enroll("people", "eve", [template("1", "eve", unit(1, 128), migrated.gallery("people").model or "")])
    migrated.delete_gallery("people")


@pytest.mark.parametrize(
    ("cipher", "words"),
    [
        (None, "is encrypted: set LIKENESS_ENCRYPTION_KEY"),
        (AesGcmCipher([bytes([8]) * 32]), "is encrypted with another key than those given"),
    ],
    ids=["none", "another"],
)
def test_an_encrypted_file_still_needs_its_key(path: Path, cipher: AesGcmCipher | None, words: str) -> None:
    shutil.copyfile(DATABASES / "version_0_encrypted.sqlite3", path)
    with pytest.raises(StartError, match=words):
        FileRepository(path, cipher=cipher)


@pytest.mark.parametrize("tables", [["keys", "audit"], ["audit"]])
def test_a_file_that_had_only_some_of_the_tables_gets_the_others(path: Path, tables: list[str]) -> None:
    shutil.copyfile(DATABASES / "version_0.sqlite3", path)
    with closing(sqlite3.connect(path)) as db, db:
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            if name not in (*tables, "sqlite_sequence"):
                db.execute(f"DROP TABLE {name}")
    with closing(FileRepository(path)) as repository:
        repository.enroll("guests", "ada", numbered("ada", 1))

        assert AuditLog(repository.database).verify().fault is None
        assert repository.check_integrity() == []


def test_json_that_was_written_as_text_is_read(path: Path) -> None:
    shutil.copyfile(DATABASES / "version_0.sqlite3", path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE subjects SET metadata = CAST(metadata AS TEXT)")
        db.execute("UPDATE faces SET detection = CAST(detection AS TEXT)")
    with closing(FileRepository(path)) as repository:
        expected = expected_of("version_0.sqlite3")

        assert repository.check_integrity() == []
        assert described(repository) == expected["people"]
