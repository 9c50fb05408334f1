"""Copies of the files that were made before an erasure show nothing of the erased, to somebody with the master key."""

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.domain.errors import StartError, StorageFull, StorageUnavailable
from app.domain.identity import SYSTEM
from app.gallery import key_rotation
from app.gallery.records import IdempotencyRecord
from app.gallery.repository import GalleryRepository
from app.storage import sqlite
from app.storage.key_file import key_path
from tests.support.background import background
from tests.support.repository import FileRepository
from tests.support.templates import DIMENSION, numbered, unit, with_crops
from tests.unit.gallery.attacker import copied, keys_of, values_opened
from tests.unit.gallery.encrypting import NEW, OLD, cipher, opened
from tests.unit.gallery.guests import contents

NEW_MODEL = "sha256:" + "b" * 64
Change = Callable[[GalleryRepository], object]
ADA = {("metadata", "ada"), ("response", "ada", "key")} | {
    (column, "ada", face) for column in ("vector", "detection", "crop", "new_vector") for face in ("1", "2")
}
BOB = {("metadata", "bob"), ("vector", "bob", "3"), ("detection", "bob", "3")}
AFTER_ENROLLMENT, AFTER_ALL = "2026-01-03T00:00:00.000Z", "2999-01-01T00:00:00.000Z"


@pytest.fixture
def filled(path: Path) -> Iterator[FileRepository]:
    with opened(path, cipher(OLD)) as repository:
        faces = with_crops(numbered("ada", 1, 2))
        repository.enroll("guests", "ada", faces, IdempotencyRecord("key", "digest", {"box": [1, 2]}))
        repository.begin_re_embedding("guests", NEW_MODEL, DIMENSION)
        repository.add_new_vectors("guests", NEW_MODEL, repository.crops_to_embed("guests", "", 9), [unit(8), unit(9)])
        repository.put_subject("staff", "bob", {"name": "Bob"})
        repository.enroll("staff", "bob", numbered("bob", 3))
        yield repository


def merge_into_eve(repository: FileRepository) -> None:
    repository.put_subject("guests", "eve", {})
    repository.merge_subjects("guests", "eve", "ada")


def move_to_eve(repository: FileRepository) -> None:
    repository.put_subject("guests", "eve", {})
    repository.move_faces("guests", "eve", "ada", ["1"])


@pytest.mark.parametrize(
    ("erase", "left"),
    [
        (lambda repository: repository.delete_subject("guests", "ada"), BOB),
        (lambda repository: repository.delete_gallery("guests"), BOB),
        (lambda repository: repository.delete_face("guests", "ada", "1"), BOB),
        (lambda repository: repository.put_subject("guests", "ada", {"name": "Ada"}), BOB),
        (lambda repository: repository.update_subject("guests", "ada", "eve"), BOB),
        (lambda repository: merge_into_eve(repository), BOB),
        (lambda repository: move_to_eve(repository), BOB),
        (lambda repository: repository.expire(AFTER_ENROLLMENT, SYSTEM), set()),
        (lambda repository: repository.expire(AFTER_ALL, SYSTEM), set()),
    ],
    ids=["subject", "gallery", "face", "metadata", "rename", "merge", "move", "faces expire", "subjects expire"],
)
def test_an_earlier_copy_and_the_keys_of_now_show_nothing_of_the_erased(
    filled: FileRepository, path: Path, tmp_path: Path, erase: Change, left: set[tuple[str, ...]]
) -> None:
    before = copied(path, tmp_path / "before")
    assert before.with_name(f"{before.name}-wal").stat().st_size > 0
    erase(filled)

    assert filled.pending_erasures() == 0
    assert values_opened(before, key_path(before), [OLD]) == ADA | BOB
    assert values_opened(before, key_path(path), [OLD]) == left
    assert filled.check_integrity() == []


def test_what_is_left_of_a_subject_is_read_with_its_new_key(filled: FileRepository, path: Path) -> None:
    filled.delete_face("guests", "ada", "1")
    filled.put_subject("guests", "ada", {"name": "Ada"})

    with opened(path, cipher(OLD)) as again:
        assert list(contents(again, "guests")) == ["ada"]
        assert [face.face_id for face in again.faces("guests", "ada")] == ["2"]
        assert again.subject("guests", "ada").metadata == {"name": "Ada"}
    assert len(keys_of(path)) == 2


def test_the_database_alone_opens_with_no_key(filled: FileRepository, path: Path, tmp_path: Path) -> None:
    assert filled.galleries()
    with opened(tmp_path / "other.sqlite3", cipher(OLD)):
        pass

    assert values_opened(path, key_path(tmp_path / "other.sqlite3"), [OLD]) == set()


def test_an_erased_person_who_comes_back_opens_no_earlier_copy(
    filled: FileRepository, path: Path, tmp_path: Path
) -> None:
    before = copied(path, tmp_path / "before")
    filled.delete_subject("guests", "ada")
    filled.enroll("guests", "ada", numbered("ada", 5))

    assert len(keys_of(path)) == 2
    assert values_opened(before, key_path(path), [OLD]) == BOB
    shutil.copyfile(key_path(path), key_path(before))
    with opened(before, cipher(OLD)) as earlier:
        kinds = {"face", "crop", "new_vector", "metadata", "idempotency_key"}
        assert {row.kind for row in earlier.check_integrity()} == kinds


def test_keys_are_destroyed_only_when_no_reader_needs_them(
    filled: FileRepository, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_PATIENCE", 0.02)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM faces").fetchall()
        filled.put_subject("guests", "ada", {"name": "Ada"})
        filled.delete_subject("staff", "bob")
        waiting = (filled.pending_erasures(), len(keys_of(path)))
    settled = filled.settle_erasures()

    assert waiting == (2, 3)
    assert (settled, len(keys_of(path))) == (0, 1)


def test_another_process_destroys_the_keys_of_a_deletion_that_was_pending(
    filled: FileRepository, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_PATIENCE", 0.02)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM faces").fetchall()
        filled.delete_subject("guests", "ada")
    with opened(path, cipher(OLD)) as other:
        other.delete_subject("staff", "bob")

        assert other.pending_erasures() == 0
    assert keys_of(path) == {}


def test_a_failed_transaction_leaves_no_key(filled: FileRepository, path: Path) -> None:
    before = keys_of(path)
    with pytest.raises(Exception, match="has one of these faces already"):
        filled.enroll("guests", "eve", numbered("eve", 1))

    assert keys_of(path) == before


@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_a_full_disk_is_told_and_adds_nobody(
    filled: FileRepository, path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(StorageFull, match="no space is left"):
            filled.enroll("guests", "eve", numbered("eve", 9))
    filled.settle_after_crash()

    assert [gallery.subjects for gallery in filled.galleries()] == [1, 1]
    assert len(keys_of(path)) == 2


def test_two_processes_share_the_slots(path: Path) -> None:
    with opened(path, cipher(OLD)) as one, opened(path, cipher(OLD)) as two:
        for repository, name in ((one, "one"), (two, "two")):
            repository.create_gallery(name)
        turns = iter([(one, "one"), (two, "two")])

        def enroll_and_erase(over: object) -> None:
            assert over
            repository, name = next(turns)
            for number in range(25):
                subject = f"{name} {number}"
                repository.enroll(name, subject, numbered(subject, number))
                if number % 3 == 0:
                    repository.delete_subject(name, subject)
                if number % 3 == 1:
                    repository.put_subject(name, subject, {"number": number})

        with background(enroll_and_erase, threads=2):
            pass
        for repository in (one, two):
            repository.settle_erasures()

            assert repository.check_integrity() == []
            assert [repository.gallery(name).faces for name in ("one", "two")] == [16, 16]
        assert len(keys_of(path)) == 32


def test_without_its_keys_a_gallery_is_not_opened_and_stays_as_it_is(path: Path, tmp_path: Path) -> None:
    for name in ("mine", "other"):
        with opened(tmp_path / name / path.name, cipher(OLD)) as repository:
            repository.enroll("guests", "ada", numbered("ada", 1))
    mine = tmp_path / "mine" / path.name
    kept = key_path(mine).rename(tmp_path / "kept")
    with pytest.raises(StartError, match=r"gallery\.sqlite3-keys is missing"), opened(mine, cipher(OLD)):
        pass
    shutil.copyfile(key_path(tmp_path / "other" / path.name), key_path(mine))
    with pytest.raises(StartError, match="has the keys of another gallery"), opened(mine, cipher(OLD)):
        pass
    kept.rename(key_path(mine))

    with opened(mine, cipher(OLD)) as repository:
        assert repository.check_integrity() == []


def test_keys_of_another_gallery_are_never_taken_for_a_new_one(filled: FileRepository, path: Path) -> None:
    filled.close()
    before = keys_of(path)
    path.unlink()
    with pytest.raises(StartError, match="has the keys of another gallery"), opened(path, cipher(OLD)):
        pass

    assert keys_of(path) == before


def test_keys_that_are_removed_while_the_service_runs_are_missed_at_once(filled: FileRepository, path: Path) -> None:
    key_path(path).unlink()

    with pytest.raises(StorageUnavailable, match="-keys is missing"):
        filled.enroll("guests", "eve", numbered("eve", 7))


def test_with_earlier_keys_later_subjects_are_named_and_repaired_and_no_slot_is_given_twice(path: Path) -> None:
    with opened(path, cipher(OLD)) as repository:
        repository.enroll("guests", "ada", numbered("ada", 1))
        earlier = key_path(path).read_bytes()
        repository.enroll("guests", "bob", numbered("bob", 2))
    key_path(path).write_bytes(earlier)
    with opened(path, cipher(OLD)) as repository:
        damage = repository.check_integrity()
        repository.enroll("guests", "eve", numbered("eve", 3))
        repository.repair(damage)

        assert [(row.kind, row.subject_id) for row in damage] == [("subject", "bob")]
        assert "data key of the subject is missing" in str(damage[0])
        assert list(contents(repository, "guests")) == ["ada", "eve"]
        assert repository.check_integrity() == []


def test_a_rotation_encrypts_the_keys_anew_and_leaves_no_earlier_one(filled: FileRepository, path: Path) -> None:
    earlier = keys_of(path)
    with closing(sqlite3.connect(path)) as db:
        values = db.execute("SELECT vector, detection FROM faces").fetchall()
    key_rotation.rotate(filled.database, cipher(NEW, OLD), SYSTEM)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT vector, detection FROM faces").fetchall() == values

    assert keys_of(path).keys() == earlier.keys()
    assert not {*keys_of(path).values()} & {*earlier.values()}
    assert [file.name for file in path.parent.glob("*-keys*")] == [key_path(path).name]
    assert values_opened(path, key_path(path), [OLD]) == set()
    assert values_opened(path, key_path(path), [NEW]) == ADA | BOB
