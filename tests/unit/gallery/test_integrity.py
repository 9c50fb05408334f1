"""A damaged row is named, left out without harm to anybody else, and removed for good by a repair."""

import json
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from app.audit.log import AuditLog
from app.domain.embeddings import Embedding
from app.domain.errors import InvalidRequest, Overloaded, ServiceError, StartError
from app.domain.identity import Actor
from app.gallery import key_rotation
from app.gallery.import_export import export_gallery, import_gallery
from app.gallery.records import DamagedRow, IdempotencyRecord
from app.gallery.search import GallerySearch
from app.storage.cipher import Cipher, NoCipher
from tests.support.repository import FileRepository
from tests.support.templates import DIMENSION, MODEL, numbered, template, unit
from tests.unit.gallery.encrypting import NEW, OLD, OTHER, cipher

CHANGED_TABLES = ("faces", "idempotency_keys", "subjects")
OPERATOR = Actor("cli:ada", "r-1")
GARBAGE = b"some bytes that were never a float32 vector of unit length or encrypted...."
DETECTION = {"box": [1, 2, 3, 4], "landmarks": [[0, 0]] * 5, "confidence": 0.9, "quality": [1, 1, 1, 1]}
FACE_DAMAGE: dict[str, tuple[str, object, str]] = {
    "cut short": ("vector", unit(2).tobytes()[:-4], "vector: expected a vector of 8 numbers, got 7"),
    "of another length": ("vector", unit(2, 16).tobytes(), "vector: expected a vector of 8 numbers, got 16"),
    "empty": ("vector", b"", "vector: expected a vector of 8 numbers, got 0"),
    "no whole numbers": ("vector", b"seven..", "vector: expected a float32 vector, got 7 bytes"),
    "NaN": (
        "vector",
        np.full(8, np.nan, np.float32).tobytes(),
        "vector: expected a vector of length 1, got length nan",
    ),
    "zero": ("vector", bytes(4 * DIMENSION), "vector: expected a vector of length 1, got length 0.0000"),
    "long": ("vector", (2 * unit(2)).tobytes(), "vector: expected a vector of length 1, got length 2.0000"),
    "huge": ("vector", np.full(8, 3e38, np.float32).tobytes(), "vector: expected a vector of length 1, got length inf"),
    "text": ("vector", "text", "vector: expected a vector of 8 numbers, got 1"),
    "a number": ("vector", 12345, "vector: expected a float32 vector, got 5 bytes"),
    "no JSON": ("detection", b"\xff{", "detection: not JSON"),
    "deep JSON": ("detection", b"[" * 100_000, "detection: not JSON"),
    "other JSON": ("detection", b"{}", "detection: not a detected face (KeyError)"),
    "few landmarks": ("detection", {"landmarks": [[1, 2]]}, "detection: not a detected face (ValueError)"),
    "no box": ("detection", {"box": 5}, "detection: not a detected face (TypeError)"),
    "a box of NaN": ("detection", {"box": [np.nan] * 4}, "detection: not a detected face (ValueError)"),
    "an endless number": ("detection", {"confidence": 10**400}, "detection: not a detected face (OverflowError)"),
}


@pytest.fixture(params=[None, cipher(OLD)], ids=["clear", "encrypted"])
def key(request: pytest.FixtureRequest) -> Cipher:
    return request.param or NoCipher()


@pytest.fixture
def damaged(path: Path, key: Cipher) -> Iterator[FileRepository]:
    """Ada's face 2, bob's metadata and a saved response of eve are damaged; faces 1, 3 and 4 are not."""
    with closing(FileRepository(path, cipher=key)) as repository:
        repository.enroll("guests", "ada", numbered("ada", 1, 2))
        repository.enroll("guests", "bob", numbered("bob", 3))
        repository.put_subject("guests", "bob", {"name": "Bob"})
        repository.enroll("guests", "eve", numbered("eve", 4), IdempotencyRecord("key", "request", {"enrolled": []}))
        overwrite(path, "UPDATE faces SET vector = ? WHERE id = '2'", GARBAGE)
        overwrite(path, "UPDATE subjects SET metadata = ? WHERE id = 'bob'", GARBAGE)
        overwrite(path, "UPDATE idempotency_keys SET response = ?", GARBAGE)
        yield repository


def overwrite(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(statement, values)


def check(path: Path) -> list[DamagedRow]:
    with closing(FileRepository(path)) as repository:
        return repository.check_integrity()


def ids(rows: list[DamagedRow]) -> list[tuple[str, ...]]:
    return [(row.kind, row.gallery_id, row.subject_id, row.face_id, row.idempotency_key) for row in rows]


DAMAGED_IDS = [
    ("face", "guests", "ada", "2", ""),
    ("metadata", "guests", "bob", "", ""),
    ("idempotency_key", "guests", "eve", "", "key"),
]


def found(search: GallerySearch, seed: int) -> list[str]:
    return [hit.face_id for hit in search.search("guests", Embedding(unit(seed), MODEL), 1, 0.01)[1]]


@pytest.mark.parametrize("what", FACE_DAMAGE)
def test_a_face_that_cannot_be_read_is_named_with_what_is_wrong(path: Path, what: str) -> None:
    column, value, problem = FACE_DAMAGE[what]
    stored = json.dumps(DETECTION | value).encode() if isinstance(value, dict) else value
    with closing(FileRepository(path)) as repository:
        repository.enroll("guests", "ada", numbered("ada", 1, 2))
        intact = repository.check_integrity()
        overwrite(path, f"UPDATE faces SET {column} = ? WHERE id = '2'", stored)  # noqa: S608

        assert intact == []
        assert [str(row) for row in repository.check_integrity()] == [
            f"gallery 'guests', subject 'ada', face '2': {problem}"
        ]
        assert [face.face_id for face in repository.faces("guests", "ada")] == ["1"]


@pytest.mark.parametrize("value", [b"", b"5", b"[1]", b"{", 5])
def test_metadata_and_responses_that_are_no_json_objects_are_named(path: Path, value: object) -> None:
    with closing(FileRepository(path)) as repository:
        repository.enroll("guests", "eve", numbered("eve", 4), IdempotencyRecord("key", "request", {}))
    overwrite(path, "UPDATE subjects SET metadata = ?", value)
    overwrite(path, "UPDATE idempotency_keys SET response = ?", value)

    assert [str(row).rpartition(": ")[0] for row in check(path)] == [
        "gallery 'guests', subject 'eve': metadata",
        "gallery 'guests', subject 'eve': Idempotency-Key 'key': response",
    ]


@pytest.mark.parametrize("kept", [0, 1, 8, 9, 15, 21, 40])
def test_an_encrypted_vector_that_was_cut_short_is_named(path: Path, kept: int) -> None:
    with closing(FileRepository(path, cipher=cipher(OLD))) as repository:
        repository.enroll("guests", "ada", numbered("ada", 1, 2))
        overwrite(path, "UPDATE faces SET vector = substr(vector, 1, ?) WHERE id = '2'", kept)

        assert ids(repository.check_integrity()) == DAMAGED_IDS[:1]


def test_every_damaged_row_is_named_by_its_ids(damaged: FileRepository) -> None:
    assert ids(damaged.check_integrity()) == DAMAGED_IDS
    assert ids(damaged.damaged_rows("guests")) == DAMAGED_IDS


def test_the_rest_of_the_gallery_works_and_a_warning_names_the_damage(
    damaged: FileRepository, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("app"), "propagate", True)
    search = GallerySearch(damaged)
    search.load_indexes()

    assert [found(search, seed) for seed in (1, 2, 3, 4)] == [["1"], [], ["3"], ["4"]]
    assert caplog.text.count("gallery 'guests', subject 'ada', face '2': vector: ") == 1
    assert [face.face_id for face in damaged.faces("guests", "ada")] == ["1"]
    assert [subject.subject_id for subject in damaged.subjects("guests", 9, "")] == ["ada", "bob", "eve"]
    assert damaged.subject("guests", "bob").metadata == damaged.metadata("guests", ["bob"])["bob"] == {}
    assert damaged.export_subject("guests", "ada").faces[0].face_id == "1"
    damaged.enroll("guests", "ada", numbered("ada", 5))
    assert found(search, 5) == ["5"]
    with pytest.raises(ServiceError, match="response: "):
        damaged.saved_response("guests", "eve", "key", "request")


def test_a_damaged_row_can_be_deleted_and_replaced(damaged: FileRepository) -> None:
    damaged.delete_face("guests", "ada", "2")
    damaged.put_subject("guests", "bob", {"name": "Robert"})
    damaged.delete_subject("guests", "eve")

    assert damaged.check_integrity() == []
    assert damaged.subject("guests", "bob").metadata == {"name": "Robert"}


def test_an_export_holds_the_rest_and_says_what_was_left_out(damaged: FileRepository, file: Path) -> None:
    faces, left_out = export_gallery(damaged, "guests", file)

    assert (faces, ids(left_out)) == (3, DAMAGED_IDS[:2])
    assert import_gallery(damaged, "copy", file) == 3


def test_a_repair_removes_the_damaged_rows_for_good_and_says_so_in_the_audit_log(
    damaged: FileRepository, path: Path
) -> None:
    search = GallerySearch(damaged)
    search.load_indexes()
    revision = damaged.gallery("guests").revision
    removed = damaged.repair(damaged.check_integrity(), OPERATOR)
    files = b"".join(each.read_bytes() for each in path.parent.iterdir())
    log = AuditLog(damaged.database)
    entries = [(each["action"], each["subject"], each.get("face"), each.get("removed")) for each in log.entries()[-3:]]

    assert ids(removed) == DAMAGED_IDS
    assert damaged.check_integrity() == []
    assert damaged.repair(removed, OPERATOR) == []
    assert GARBAGE[:16] not in files
    assert entries == [
        ("face.repair", "ada", "2", None),
        ("subject.repair", "bob", None, "metadata"),
        ("subject.repair", "eve", None, "idempotency_key"),
    ]
    assert {each["by"] for each in log.entries()[-3:]} == {"cli:ada"}
    differing = log.accept(OPERATOR)  # the digests are those of the rows before they were damaged
    assert differing == [f"gallery 'guests': the rows in {table} were changed" for table in CHANGED_TABLES]
    assert log.verify().fault is None
    assert damaged.gallery("guests").revision == revision + 2
    assert [found(search, seed) for seed in (1, 2, 3, 4)] == [["1"], [], ["3"], ["4"]]
    assert damaged.saved_response("guests", "eve", "key", "request") is None
    damaged.enroll("guests", "ada", numbered("ada", 2))
    assert found(search, 2) == ["2"]


def test_a_repair_leaves_alone_what_it_was_not_asked_about(damaged: FileRepository) -> None:
    face, metadata, response = damaged.check_integrity()
    intact = DamagedRow("face", face.problem, "guests", "ada", face_id="1")

    assert damaged.repair([intact, metadata], OPERATOR) == [metadata]
    assert damaged.check_integrity() == [face, response]


def test_a_missing_key_is_not_damage_and_nothing_is_removed(path: Path) -> None:
    with closing(FileRepository(path, cipher=cipher(OLD))) as repository:
        repository.enroll("guests", "ada", numbered("ada", 1))
    with closing(FileRepository(path, cipher=cipher(NEW, OLD))) as repository:
        repository.enroll("guests", "bob", numbered("bob", 2))
    with closing(FileRepository(path, cipher=cipher(NEW, OTHER))) as repository:
        calls: list[Callable[[], object]] = [
            repository.check_integrity,
            repository.require_all_keys,
            GallerySearch(repository).load_indexes,
            lambda: repository.repair([DamagedRow("face", "", "guests", "ada", face_id="1")]),
            lambda: key_rotation.rotate(repository.database, cipher(NEW, OTHER), OPERATOR),
        ]
        for call in calls:
            with pytest.raises(StartError, match="2 keys of the gallery are encrypted with a key that is not given"):
                call()
    with closing(FileRepository(path, cipher=cipher(NEW, OLD))) as repository:
        repository.require_all_keys()
        assert [len(repository.faces("guests", subject)) for subject in ("ada", "bob")] == [1, 1]


def test_damage_to_the_name_of_a_key_is_damage(path: Path) -> None:
    with closing(FileRepository(path, cipher=cipher(OLD))) as repository:
        repository.enroll("guests", "ada", numbered("ada", 1, 2))
        overwrite(
            path, "UPDATE faces SET vector = CAST(x'01' || zeroblob(8) || substr(vector, 10) AS BLOB) WHERE id = '2'"
        )

        assert ids(repository.check_integrity()) == DAMAGED_IDS[:1]


@pytest.mark.parametrize("value", [GARBAGE, "text"])
def test_a_rotation_leaves_damaged_values_as_they_are(path: Path, value: object) -> None:
    with closing(FileRepository(path, cipher=cipher(OLD))) as repository:
        repository.enroll("guests", "ada", numbered("ada", 1, 2))
        overwrite(path, "UPDATE faces SET vector = ? WHERE id = '2'", value)
        before = ids(repository.check_integrity())
        key_rotation.rotate(repository.database, cipher(NEW, OLD), OPERATOR)
    with closing(FileRepository(path, cipher=cipher(NEW))) as repository:
        assert ids(repository.check_integrity()) == before == DAMAGED_IDS[:1]
        assert [face.face_id for face in repository.faces("guests", "ada")] == ["1"]


def test_a_vector_of_another_length_is_not_enrolled(repository: FileRepository) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1))
    for wrong in ([template("2", "ada", unit(2, 16))], [*numbered("ada", 3), template("2", "ada", unit(2, 16))]):
        with pytest.raises(InvalidRequest, match="expected a vector of 8 numbers, got 16"):
            repository.enroll("guests", "ada", wrong)
    with pytest.raises(InvalidRequest, match="expected a vector of 8 numbers, got 16"):
        repository.enroll("new", "ada", [*numbered("ada", 3), template("2", "ada", unit(2, 16))])

    assert repository.gallery("guests").faces == 1


@pytest.mark.parametrize("seed", range(8))
def test_bytes_that_were_overwritten_are_found_or_harmless(path: Path, seed: int) -> None:
    with closing(FileRepository(path)) as repository:
        repository.enroll("guests", "ada", numbered("ada", 1, 2))
    random = np.random.default_rng(seed)
    data = bytearray(path.read_bytes())
    start = int(random.integers(4096, len(data) - 500))  # behind the first page: without it, it is no database
    data[start : start + 500] = random.bytes(500)
    path.write_bytes(data)

    assert all(str(row) for row in check(path))


def test_a_file_that_sqlite_finds_damaged_is_named_and_not_repaired(path: Path) -> None:
    with closing(FileRepository(path)) as repository:
        repository.enroll("guests", "ada", numbered("ada", *range(200)))
    data = bytearray(path.read_bytes())
    data[-4096:] = b"\xff" * 4096
    path.write_bytes(data)
    with closing(FileRepository(path)) as repository:
        damage = repository.check_integrity()

        assert damage
        assert {row.kind for row in damage} == {"file"}
        assert str(damage[0]).startswith("database: ")
        with pytest.raises(ServiceError, match="restore a backup"):
            repository.repair(damage)


def test_a_key_that_was_changed_meanwhile_is_not_taken_for_damage(path: Path) -> None:
    with closing(FileRepository(path, cipher=cipher(OLD))) as repository:
        key_rotation.rotate(repository.database, cipher(NEW, OLD), OPERATOR)

        with pytest.raises(Overloaded, match="restart this service"):
            repository.check_integrity()


def test_a_file_cut_short_cannot_be_opened(path: Path) -> None:
    with closing(FileRepository(path)) as repository:
        repository.enroll("guests", "ada", numbered("ada", 1, 2))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])

    with pytest.raises(ServiceError, match="malformed"):
        FileRepository(path)


@pytest.mark.parametrize("value", [b"", b"5", b"{", 5])
def test_a_damaged_consent_is_named_left_out_and_removed_by_a_repair(repository: FileRepository, value: object) -> None:
    repository.put_subject("guests", "ada", {"name": "Ada"}, consent="form 7")
    with repository.database.writing() as db:
        db.execute("UPDATE subjects SET consent = ?", (value,))
    (row,) = repository.check_integrity()

    assert (row.kind, row.subject_id) == ("consent", "ada")
    assert repository.subject("guests", "ada").consent is None
    assert repository.repair([row], OPERATOR) == [row]
    assert repository.check_integrity() == []
    assert repository.subject("guests", "ada").metadata == {"name": "Ada"}
