"""What is deleted is gone: from the answers, from the file, and from memory."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.domain.errors import NotFound
from app.domain.models import Embedding
from app.gallery.codec import IdempotencyRecord
from app.gallery.repository import GalleryRepository
from app.gallery.search import GallerySearch
from tests.support.templates import MODEL, template, unit

Delete = Callable[[GalleryRepository], None]
DIMENSION, PIECE = 128, 32
DELETIONS: dict[str, tuple[Delete, set[int]]] = {
    "a face": (lambda records: records.delete_face("guests", "1", "1"), {1}),
    "a subject": (lambda records: records.delete_subject("guests", "2"), {2, 7, 12, 17, 22, 27}),
    "a gallery": (lambda records: records.delete_gallery("guests"), set(range(30))),
}


def fill(records: GalleryRepository) -> None:
    """Thirty faces of five subjects, and one that stays."""
    for seed in range(30):
        subject = str(seed % 5)
        records.enroll("guests", subject, [template(str(seed), subject, unit(seed, DIMENSION))])
    records.enroll("staff", "ada", [template("99", "ada", unit(99, DIMENSION))])


def pieces(seed: int) -> list[bytes]:
    data = unit(seed, DIMENSION).tobytes()
    return [data[start : start + PIECE] for start in range(0, len(data), PIECE)]


def bytes_kept(path: Path) -> bytes:
    """Everything that lies beside and in the database, its write-ahead log too."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))


def seeds_found(path: Path) -> set[int]:
    """Of whom any piece of the vector is in a file."""
    kept = bytes_kept(path)
    return {seed for seed in (*range(30), 99) if any(piece in kept for piece in pieces(seed))}


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("what", DELETIONS)
def test_no_byte_of_a_deleted_vector_is_left_in_any_file(records: GalleryRepository, path: Path, what: str) -> None:
    delete, gone = DELETIONS[what]
    fill(records)
    before = seeds_found(path)
    delete(records)

    assert before == {*range(30), 99}
    assert seeds_found(path) == before - gone


def test_the_write_ahead_log_is_empty_after_a_deletion(records: GalleryRepository, path: Path) -> None:
    fill(records)
    log = path.with_name(path.name + "-wal")
    before = log.stat().st_size
    records.delete_face("guests", "1", "1")

    assert before > 0
    assert log.stat().st_size == 0


@pytest.mark.parametrize("what", DELETIONS)
def test_a_deleted_face_is_not_found_again_even_by_a_search_that_was_warm(
    records: GalleryRepository, gallery: GallerySearch, what: str
) -> None:
    delete, gone = DELETIONS[what]
    fill(records)
    gallery.warm()
    delete(records)
    records.create_gallery("guests")
    found = {
        hit.face_id
        for seed in range(30)
        for hit in gallery.search("guests", Embedding(unit(seed, DIMENSION), MODEL), 10, 0.01)[1]
    }

    assert found == {str(seed) for seed in set(range(30)) - gone}


def test_a_refreshed_index_holds_nothing_of_the_deleted(records: GalleryRepository, gallery: GallerySearch) -> None:
    fill(records)
    gallery.warm()
    records.delete_face("guests", "1", "1")
    gallery.refresh("guests")
    memory = gallery._cache["guests"].index._vectors()

    assert not (memory @ unit(1, DIMENSION) > 0.9).any()
    assert (memory @ unit(6, DIMENSION) > 0.9).any()


def test_a_refreshed_gallery_that_is_gone_is_not_kept_in_memory(
    records: GalleryRepository, gallery: GallerySearch
) -> None:
    fill(records)
    gallery.warm()
    records.delete_gallery("guests")
    gallery.refresh("guests")

    assert list(gallery._cache) == ["staff"]


def test_a_gallery_made_anew_has_nothing_of_the_old(records: GalleryRepository) -> None:
    fill(records)
    records.put_subject("guests", "1", {"name": "old"})
    records.delete_gallery("guests")
    gallery, made = records.create_gallery("guests")

    assert made
    assert (gallery.model, gallery.subjects, gallery.faces, gallery.revision) == (None, 0, 0, 0)
    with pytest.raises(NotFound):
        records.faces("guests", "1")


def test_rebuilding_gives_the_room_of_the_deleted_back_and_keeps_the_rest(
    records: GalleryRepository, path: Path
) -> None:
    fill(records)
    records.delete_gallery("guests")
    before = path.stat().st_size
    records.rebuild()

    assert path.stat().st_size < before
    (face,) = records.faces("staff", "ada")
    np.testing.assert_array_equal(face.embedding.vector, unit(99, DIMENSION))


def test_what_was_answered_about_a_deleted_face_is_forgotten(records: GalleryRepository) -> None:
    records.enroll(
        "guests", "ada", [template("1", "ada", unit(1))], IdempotencyRecord("key", "request", {"box": [1, 2]})
    )
    records.delete_face("guests", "ada", "1")
    assert records.remembered("guests", "ada", "key", "request") is None
