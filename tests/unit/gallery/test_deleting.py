"""Deleted faces are gone from the saved responses, from every file, and from memory."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.domain.errors import NotFound
from app.gallery.records import IdempotencyRecord
from app.gallery.repository import GalleryRepository
from app.gallery.search import GallerySearch
from tests.support.templates import crop_bytes, template, unit, with_crops
from tests.support.vectors import memory_of

pytestmark = pytest.mark.any_database

Delete = Callable[[GalleryRepository], object]
DIMENSION, PIECE = 128, 32
DELETIONS: dict[str, tuple[Delete, set[int]]] = {
    "a face": (lambda repository: repository.delete_face("guests", "1", "1"), {1}),
    "a subject": (lambda repository: repository.delete_subject("guests", "2"), {2, 7, 12, 17, 22, 27}),
    "some faces": (lambda repository: repository.delete_faces("guests", face_ids=["3", "9", "99"]), {3, 9}),
    "the faces of a subject": (
        lambda repository: repository.delete_faces("guests", subject_id="2"),
        {2, 7, 12, 17, 22, 27},
    ),
    "all faces": (lambda repository: repository.delete_faces("guests"), set(range(30))),
    "all subjects": (lambda repository: repository.delete_all_subjects("guests"), set(range(30))),
    "a gallery": (lambda repository: repository.delete_gallery("guests"), set(range(30))),
}


def fill(repository: GalleryRepository) -> None:
    """Thirty faces of five subjects, and one that stays."""
    for seed in range(30):
        subject = str(seed % 5)
        repository.enroll("guests", subject, with_crops([template(str(seed), subject, unit(seed, DIMENSION))]))
    repository.enroll("staff", "ada", with_crops([template("99", "ada", unit(99, DIMENSION))]))


def pieces(seed: int) -> list[bytes]:
    """Pieces of the vector and the crop of a face."""
    data = unit(seed, DIMENSION).tobytes() + crop_bytes(seed)[4:]
    return [data[start : start + PIECE] for start in range(0, len(data), PIECE)]


def bytes_kept(path: Path) -> bytes:
    """Return the content of the database and of every file beside it, such as its write-ahead log."""
    return b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))


def seeds_found(path: Path) -> set[int]:
    """Return the seeds of the vectors and crops of which a piece is in a file."""
    kept = bytes_kept(path)
    return {seed for seed in (*range(30), 99) if any(piece in kept for piece in pieces(seed))}


@pytest.mark.only_sqlite
@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("what", DELETIONS)
def test_no_byte_of_a_deleted_vector_or_crop_is_left_in_any_file(
    repository: GalleryRepository, path: Path, what: str
) -> None:
    delete, gone = DELETIONS[what]
    fill(repository)
    before = seeds_found(path)
    delete(repository)

    assert before == {*range(30), 99}
    assert seeds_found(path) == before - gone


@pytest.mark.only_sqlite
def test_the_write_ahead_log_is_empty_after_a_deletion(repository: GalleryRepository, path: Path) -> None:
    fill(repository)
    log = path.with_name(path.name + "-wal")
    before = log.stat().st_size
    repository.delete_face("guests", "1", "1")

    assert before > 0
    assert log.stat().st_size == 0


def test_a_refreshed_index_holds_nothing_of_the_deleted(repository: GalleryRepository, search: GallerySearch) -> None:
    fill(repository)
    search.load_indexes()
    repository.delete_face("guests", "1", "1")
    search.update_index("guests")
    index = search._indexed["guests"].index
    assert index is not None
    memory = memory_of(index)

    assert not (memory @ unit(1, DIMENSION) > 0.9).any()
    assert (memory @ unit(6, DIMENSION) > 0.9).any()


def test_a_refreshed_gallery_that_is_gone_is_not_kept_in_memory(
    repository: GalleryRepository, search: GallerySearch
) -> None:
    fill(repository)
    search.load_indexes()
    repository.delete_gallery("guests")
    search.update_index("guests")

    assert list(search._indexed) == ["staff"]


def test_a_gallery_made_anew_has_nothing_of_the_old(repository: GalleryRepository) -> None:
    fill(repository)
    repository.put_subject("guests", "1", {"name": "old"})
    repository.delete_gallery("guests")
    gallery, made = repository.create_gallery("guests")

    assert made
    assert (gallery.model, gallery.subjects, gallery.faces, gallery.revision) == (None, 0, 0, 0)
    with pytest.raises(NotFound):
        repository.faces("guests", "1")


def test_what_was_answered_about_a_deleted_face_is_forgotten(repository: GalleryRepository) -> None:
    repository.enroll(
        "guests", "ada", [template("1", "ada", unit(1))], IdempotencyRecord("key", "request", {"box": [1, 2]})
    )
    repository.delete_face("guests", "ada", "1")
    assert repository.saved_response("guests", "ada", "key", "request") is None
