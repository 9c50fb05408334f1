"""With a key: the same gallery, whose files show nothing private, and which opens only with that key."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.domain.embeddings import Embedding
from app.domain.errors import Overloaded, StartError
from app.gallery.repository import GalleryRepository
from app.gallery.search import GallerySearch
from app.storage.cipher import Cipher
from tests.support.templates import MODEL, numbered, template, unit
from tests.unit.gallery.encrypting import (
    ANSWER,
    DIMENSION,
    NEW,
    OLD,
    OTHER,
    cipher,
    enroll_all_kinds,
    kinds_found,
    opened,
)
from tests.unit.gallery.guests import contents, fill

Change = Callable[[GalleryRepository], object]
SWAP_VECTORS = """UPDATE faces SET vector = (SELECT vector FROM faces AS twin WHERE twin.id = 3 - faces.id)
    WHERE id IN ('1', '2')"""


@pytest.fixture
def encrypted(path: Path) -> Iterator[GalleryRepository]:
    with opened(path, cipher(OLD)) as repository:
        yield repository


def change(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(statement, values)


def test_nothing_private_can_be_read_in_any_file(encrypted: GalleryRepository, path: Path) -> None:
    enroll_all_kinds(encrypted)

    assert kinds_found(path) == set()


def test_without_a_key_all_of_it_can(repository: GalleryRepository, path: Path) -> None:
    enroll_all_kinds(repository)

    assert kinds_found(path) == {"vector", "detection", "metadata", "consent", "answer"}


@pytest.mark.parametrize("keys", [(OLD,), (OLD, NEW), (NEW, OLD)])
def test_who_has_the_key_reads_and_finds_what_was_written(
    encrypted: GalleryRepository, path: Path, keys: tuple[bytes, ...]
) -> None:
    enroll_all_kinds(encrypted)
    encrypted.enroll("staff", "bob", [template("b", "bob", unit(9, DIMENSION))])
    before = contents(encrypted, "guests")
    with opened(path, cipher(*keys)) as again:
        kept, answer = contents(again, "guests"), again.saved_response("guests", "ada", "key 3", "request")
        _, hits = GallerySearch(again).search("staff", Embedding(unit(9, DIMENSION), MODEL), 1, 0.01)

    assert kept == before
    assert answer == ANSWER
    assert [hit.face_id for hit in hits] == ["b"]


@pytest.mark.parametrize(
    ("written", "given", "words"),
    [
        (cipher(OLD), None, "is encrypted: set LIKENESS_ENCRYPTION_KEY or LIKENESS_ENCRYPTION_KEY_FILE"),
        (cipher(OLD), cipher(NEW), "encrypted with another key than those given"),
        (cipher(OLD), cipher(NEW, OTHER), "encrypted with another key than those given"),
        (None, cipher(OLD), "not encrypted yet: run `likeness gallery rotate`"),
    ],
)
def test_another_key_none_or_one_too_many_stops_the_start_and_changes_nothing(
    path: Path, written: Cipher | None, given: Cipher | None, words: str
) -> None:
    with opened(path, written) as repository:
        fill(repository)
        before = contents(repository, "guests")

    with pytest.raises(StartError, match=words), opened(path, given):
        pass
    with opened(path, written) as repository:
        assert contents(repository, "guests") == before


def test_a_gallery_in_which_nobody_is_takes_the_key_and_keeps_it(repository: GalleryRepository, path: Path) -> None:
    repository.create_gallery("guests")
    with opened(path, cipher(OLD)) as encrypted:
        enroll_all_kinds(encrypted)
        encrypted.delete_gallery("guests")

    with pytest.raises(StartError, match="is encrypted"), opened(path, None):
        pass
    assert kinds_found(path) == set()


@pytest.mark.parametrize(
    "use",
    [
        lambda repository: repository.put_subject("guests", "eve", {}),
        lambda repository: repository.enroll("guests", "eve", numbered("eve", 9)),
        lambda repository: repository.create_gallery("more"),
        lambda repository: repository.delete_subject("guests", "ada"),
        lambda repository: repository.delete_gallery("guests"),
        lambda repository: repository.export_subject("guests", "ada"),
        lambda repository: repository.faces("guests", "ada"),
        lambda repository: repository.changes_since("guests", None),
    ],
    ids=["describe", "enrol", "create", "delete a subject", "delete a gallery", "export", "read", "follow"],
)
@pytest.mark.parametrize("later", [(NEW, OLD), (NEW,)], ids=["both keys", "the new key alone"])
def test_a_process_that_runs_with_an_old_key_refuses_to_go_on(
    encrypted: GalleryRepository, path: Path, use: Change, later: tuple[bytes, ...]
) -> None:
    fill(encrypted)
    with opened(path, cipher(NEW, OLD)) as newer:
        newer.create_gallery("written with the new key")
        before = contents(newer, "guests")

    with pytest.raises(Overloaded, match="restart this service with the new key"):
        use(encrypted)
    with opened(path, cipher(*later, OLD)) as newer:
        assert contents(newer, "guests") == before


def test_reading_with_a_newer_key_first_leaves_the_gallery_to_the_older_one(
    encrypted: GalleryRepository, path: Path
) -> None:
    fill(encrypted)
    with opened(path, cipher(NEW, OLD)) as newer:
        contents(newer, "guests")

    encrypted.enroll("guests", "eve", numbered("eve", 9))
    assert [face.face_id for face in encrypted.faces("guests", "eve")] == ["9"]


@pytest.mark.parametrize(
    ("statement", "damaged"),
    [
        (SWAP_VECTORS, ["1"]),
        ("UPDATE faces SET detection = (SELECT detection FROM faces WHERE id = '2') WHERE id = '1'", ["1"]),
        ("UPDATE faces SET vector = detection WHERE id = '1'", ["1"]),
        ("UPDATE faces SET id = '7' WHERE id = '1'", ["7"]),
        ("UPDATE faces SET subject = 'nobody yet' WHERE subject = 'ada'", ["1", "2"]),
        (
            "UPDATE subjects SET metadata = (SELECT metadata FROM subjects WHERE id = 'nobody yet') WHERE id = 'ada'",
            [""],
        ),
    ],
)
def test_a_value_that_was_moved_to_another_row_is_not_read_there(
    encrypted: GalleryRepository, path: Path, statement: str, damaged: list[str]
) -> None:
    fill(encrypted)
    change(path, statement)
    damage = encrypted.check_integrity()
    kept = contents(encrypted, "guests")

    assert [row.face_id for row in damage] == damaged
    assert all("changed or moved" in row.problem for row in damage)
    assert not {face[0] for _, faces in kept.values() for face in faces} & set(damaged)
