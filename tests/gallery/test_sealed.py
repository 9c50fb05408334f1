"""With a key: the same gallery, of which the files tell nothing, and which opens with that key alone."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from app.domain.errors import Overloaded, ServiceError, StartError
from app.domain.models import Embedding
from app.gallery.repository import GalleryRepository
from app.gallery.search import GallerySearch
from app.storage.cipher import Cipher
from tests.gallery.guests import contents, fill
from tests.gallery.sealing import ANSWER, DIMENSION, NEW, OLD, OTHER, cipher, enroll_all_kinds, kinds_found
from tests.support.records import FileRecords
from tests.support.templates import MODEL, numbered, template, unit

Change = Callable[[GalleryRepository], object]
SWAP_VECTORS = """UPDATE faces SET vector = (SELECT vector FROM faces AS twin WHERE twin.id = 3 - faces.id)
    WHERE id IN ('1', '2')"""


@contextmanager
def opened(path: Path, cipher: Cipher | None) -> Iterator[FileRecords]:
    records = FileRecords(path, cipher=cipher)
    with closing(records):
        yield records


@pytest.fixture
def sealed(path: Path) -> Iterator[GalleryRepository]:
    with opened(path, cipher(OLD)) as records:
        yield records


def change(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(statement, values)


def test_nothing_private_can_be_read_in_any_file(sealed: GalleryRepository, path: Path) -> None:
    enroll_all_kinds(sealed)

    assert kinds_found(path) == set()


def test_without_a_key_all_of_it_can(records: GalleryRepository, path: Path) -> None:
    enroll_all_kinds(records)

    assert kinds_found(path) == {"vector", "detection", "metadata", "answer"}


@pytest.mark.parametrize("keys", [(OLD,), (OLD, NEW), (NEW, OLD)])
def test_who_has_the_key_reads_and_finds_what_was_written(
    sealed: GalleryRepository, path: Path, keys: tuple[bytes, ...]
) -> None:
    fill(sealed)
    enroll_all_kinds(sealed)
    sealed.enroll("staff", "bob", [template("b", "bob", unit(9, DIMENSION))])
    before = contents(sealed, "guests")
    with opened(path, cipher(*keys)) as again:
        kept, answer = contents(again, "guests"), again.remembered("guests", "ada", "key 3", "request")
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
    with opened(path, written) as records:
        fill(records)
        before = contents(records, "guests")

    with pytest.raises(StartError, match=words), opened(path, given):
        pass
    with opened(path, written) as records:
        assert contents(records, "guests") == before


def test_a_gallery_in_which_nobody_is_takes_the_key_and_keeps_it(records: GalleryRepository, path: Path) -> None:
    records.create_gallery("guests")
    with opened(path, cipher(OLD)) as sealed:
        enroll_all_kinds(sealed)
        sealed.delete_gallery("guests")

    with pytest.raises(StartError, match="is encrypted"), opened(path, None):
        pass
    assert kinds_found(path) == set()


@pytest.mark.parametrize(
    "use",
    [
        lambda records: records.put_subject("guests", "eve", {}),
        lambda records: records.enroll("guests", "eve", numbered("eve", 9)),
        lambda records: records.create_gallery("more"),
        lambda records: records.delete_subject("guests", "ada"),
        lambda records: records.delete_gallery("guests"),
        lambda records: records.export_subject("guests", "ada"),
        lambda records: records.faces("guests", "ada"),
        lambda records: records.changes_since("guests", None),
    ],
    ids=["describe", "enrol", "create", "delete a subject", "delete a gallery", "export", "read", "follow"],
)
@pytest.mark.parametrize("later", [(NEW, OLD), (NEW,)], ids=["both keys", "the new key alone"])
def test_a_process_that_runs_with_an_old_key_refuses_to_go_on(
    sealed: GalleryRepository, path: Path, use: Change, later: tuple[bytes, ...]
) -> None:
    fill(sealed)
    with opened(path, cipher(NEW, OLD)) as newer:
        newer.create_gallery("written with the new key")
        before = contents(newer, "guests")

    with pytest.raises(Overloaded, match="must be restarted with the new one"):
        use(sealed)
    with opened(path, cipher(*later, OLD)) as newer:
        assert contents(newer, "guests") == before


def test_reading_with_a_newer_key_first_leaves_the_gallery_to_the_older_one(
    sealed: GalleryRepository, path: Path
) -> None:
    fill(sealed)
    with opened(path, cipher(NEW, OLD)) as newer:
        contents(newer, "guests")

    sealed.enroll("guests", "eve", numbered("eve", 9))
    assert [face.face_id for face in sealed.faces("guests", "eve")] == ["9"]


def test_a_vector_moved_to_another_face_does_not_open(sealed: GalleryRepository, path: Path) -> None:
    fill(sealed)
    change(path, SWAP_VECTORS)

    with pytest.raises(ServiceError, match="changed or moved"):
        sealed.faces("guests", "ada")
    with pytest.raises(ServiceError, match="changed or moved"):
        GallerySearch(sealed).warm()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE faces SET detection = (SELECT detection FROM faces WHERE id = '2') WHERE id = '1'",
        "UPDATE faces SET vector = detection WHERE id = '1'",
        "UPDATE faces SET id = '7' WHERE id = '1'",
        "UPDATE faces SET subject = 'nobody yet' WHERE subject = 'ada'",
        "UPDATE subjects SET metadata = (SELECT metadata FROM subjects WHERE id = 'nobody yet') WHERE id = 'ada'",
    ],
)
def test_whatever_else_is_moved_does_not_open_either(sealed: GalleryRepository, path: Path, statement: str) -> None:
    fill(sealed)
    change(path, statement)

    with pytest.raises(ServiceError, match="changed or moved"):
        contents(sealed, "guests")


@pytest.mark.parametrize("kept", [0, 1, 8, 9, 15, 21, 40])
def test_damage_names_each_sealed_vector_that_does_not_open(sealed: GalleryRepository, path: Path, kept: int) -> None:
    fill(sealed)
    whole = sealed.damage()
    change(path, "UPDATE faces SET vector = substr(vector, 1, ?) WHERE id = '2'", kept)

    assert whole == []
    assert [line.partition(":")[0] for line in sealed.damage()] == ["face 2"]


def test_metadata_that_an_earlier_version_wrote_as_text_is_read(records: GalleryRepository, path: Path) -> None:
    fill(records)
    change(path, "UPDATE subjects SET metadata = CAST(metadata AS TEXT)")
    change(path, "UPDATE faces SET detection = CAST(detection AS TEXT)")

    assert records.subject("guests", "ada").metadata == {"name": "Ada", "tags": [1, None, "ü"]}
    assert len(records.faces("guests", "ada")) == 2
