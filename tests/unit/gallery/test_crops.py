"""Kept crops: part of exports, checked, and added to databases of earlier versions."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.audit.log import AuditLog
from app.gallery.import_export import export_gallery, import_gallery
from app.storage.migrate import open_migrated
from tests.support.repository import FileRepository
from tests.support.templates import DIMENSION, crop_bytes, numbered, unit, with_crops
from tests.unit.gallery.encrypting import OLD, cipher

VERSION_8 = Path(__file__).with_name("databases") / "version_8.sqlite3"
NEW_MODEL = "sha256:" + "b" * 64


@pytest.fixture
def filled(path: Path) -> Iterator[FileRepository]:
    with closing(FileRepository(path, cipher=cipher(OLD))) as repository:
        repository.enroll("guests", "ada", [*with_crops(numbered("ada", 1, 2)), *numbered("ada", 3)])
        yield repository


def crops(repository: FileRepository, gallery: str = "guests") -> dict[str, bytes | None]:
    return {face.face_id: face.crop for face in repository.faces(gallery, "ada", crops=True)}


def accept(_: bytes) -> None:
    pass


def refuse(_: bytes) -> None:
    raise ValueError("expected a crop")


@pytest.mark.parametrize("check", [accept, None])
def test_an_export_has_the_crops_and_an_import_takes_them_if_it_is_to(
    filled: FileRepository, file: Path, check: Callable[[bytes], None] | None
) -> None:
    export_gallery(filled, "guests", file)
    import_gallery(filled, "copy", file, check_crop=check)
    _, line = map(json.loads, file.read_text().splitlines())

    assert ["crop" in face for face in line["faces"]] == [True, True, False]
    assert crops(filled, "copy") == {**{str(seed): crop_bytes(seed) if check else None for seed in (1, 2)}, "3": None}
    assert {face.face_id: face.crop for face in filled.export_subject("guests", "ada").faces} == crops(filled)


def test_a_crop_that_is_none_is_refused_with_the_face_that_has_it(filled: FileRepository, file: Path) -> None:
    export_gallery(filled, "guests", file)
    with pytest.raises(ValueError, match="line 2: not an exported gallery: face 1: expected a crop"):
        import_gallery(filled, "copy", file, check_crop=refuse)


@pytest.mark.parametrize(("table", "column"), [("crops", "crop"), ("new_vectors", "new_vector")])
def test_damage_is_named_and_repaired_and_the_face_stays(
    filled: FileRepository, path: Path, table: str, column: str
) -> None:
    filled.begin_re_embedding("guests", NEW_MODEL, DIMENSION)
    filled.add_new_vectors("guests", NEW_MODEL, filled.crops_to_embed("guests", "", 9), [unit(8), unit(9)])
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"UPDATE {table} SET {column} = ? WHERE face = '2'", (b"garbage" * 9,))  # noqa: S608
    damage = filled.check_integrity()
    filled.repair(damage)

    assert [(row.kind, row.subject_id, row.face_id) for row in damage] == [(column, "ada", "2")]
    assert filled.check_integrity() == []
    assert sorted(crops(filled)) == ["1", "2", "3"]
    assert len(filled.crops_to_embed("guests", "", 9)) == (0 if table == "crops" else 1)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE crops SET crop = (SELECT crop FROM crops WHERE face = '2') WHERE face = '1'",
        "DELETE FROM crops",
        "DELETE FROM new_vectors",
        "UPDATE re_embeddings SET model = 'another'",
    ],
)
def test_the_audit_log_finds_changes_by_others(filled: FileRepository, path: Path, change: str) -> None:
    filled.begin_re_embedding("guests", NEW_MODEL, DIMENSION)
    filled.add_new_vectors("guests", NEW_MODEL, filled.crops_to_embed("guests", "", 9), [unit(8), unit(9)])
    assert AuditLog(filled.database).verify().fault is None
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(change)

    assert AuditLog(filled.database).verify().fault is not None


@pytest.mark.parametrize("change", ["", "DELETE FROM faces WHERE id = '3'"])
def test_a_database_of_version_8_stays_bound_to_its_log(path: Path, change: str) -> None:
    """The file is one that commit fb39b71 wrote. Rows that somebody changed before the upgrade are found after it."""
    shutil.copyfile(VERSION_8, path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(change)
    with closing(FileRepository(path)) as repository:
        fault = AuditLog(repository.database).verify().fault
        actions = [entry["action"] for entry in AuditLog(repository.database).entries()]
        repository.enroll("guests", "eve", with_crops(numbered("eve", 7)))
        after = AuditLog(repository.database).verify().fault

        assert repository.check_integrity() == []
    assert actions.count("audit.begin") == 0
    assert ((fault, after) == (None, None)) is (change == "")
    open_migrated(path).close()
