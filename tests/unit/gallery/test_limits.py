"""A gallery holds no more than its limits allow, however many add to it at a time."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.domain.errors import InvalidRequest, LikenessError, MetadataTooLarge, NotFound
from app.gallery.import_export import export_gallery, import_gallery
from app.gallery.limits import GalleryLimits
from app.gallery.repository import GalleryRepository
from app.storage.migrate import open_migrated
from tests.support.background import map_in_threads
from tests.support.repository import FileRepository
from tests.support.templates import numbered

pytestmark = pytest.mark.any_database

Open = Callable[..., GalleryRepository]


@pytest.fixture
def limited(path: Path) -> Iterator[Open]:
    """A function that opens the file once more, as another process would, with these limits."""
    with ExitStack() as opened:

        def open_limited(**limits: int) -> GalleryRepository:
            database = open_migrated(path)
            opened.callback(database.close)
            return GalleryRepository(database, limits=GalleryLimits(**limits))

        yield open_limited


def test_metadata_of_more_bytes_are_refused_and_the_earlier_ones_stay(limited: Open) -> None:
    repository = limited(metadata_bytes=20)
    exact = {"name": "Adä Lov"}  # {"name":"Adä Lov"} are 19 bytes in UTF-8
    repository.put_subject("guests", "ada", exact | {"name": exact["name"] + "e"})

    with pytest.raises(MetadataTooLarge, match="expected at most 20 bytes of metadata, got 21"):
        repository.put_subject("guests", "ada", {"name": exact["name"] + "el"})
    with pytest.raises(MetadataTooLarge):
        repository.put_subject("guests", "bob", {"name": "x" * 100})
    assert repository.subject("guests", "ada").metadata == {"name": "Adä Love"}
    with pytest.raises(NotFound):
        repository.subject("guests", "bob")


def test_faces_beyond_the_limit_of_a_subject_are_refused_together(limited: Open) -> None:
    repository = limited(faces_per_subject=3)
    repository.enroll("guests", "ada", numbered("ada", 1, 2))

    with pytest.raises(InvalidRequest, match="expected at most 3 faces of subject 'ada', got 4"):
        repository.enroll("guests", "ada", numbered("ada", 3, 4))
    assert repository.subject("guests", "ada").faces == 2
    repository.enroll("guests", "ada", numbered("ada", 3))
    repository.enroll("guests", "bob", numbered("bob", 4, 5, 6))
    repository.delete_face("guests", "ada", "1")
    repository.enroll("guests", "ada", numbered("ada", 7))


def test_subjects_and_faces_of_a_gallery_have_limits_of_their_own(limited: Open) -> None:
    repository = limited(subjects_per_gallery=2, faces_per_gallery=3)
    repository.enroll("guests", "ada", numbered("ada", 1, 2))
    repository.put_subject("guests", "bob", None)

    with pytest.raises(InvalidRequest, match="expected at most 2 subjects in gallery 'guests', got 3"):
        repository.put_subject("guests", "eve", None)
    with pytest.raises(InvalidRequest, match="expected at most 2 subjects in gallery 'guests', got 3"):
        repository.enroll("guests", "eve", numbered("eve", 3))
    with pytest.raises(InvalidRequest, match="expected at most 3 faces in gallery 'guests', got 4"):
        repository.enroll("guests", "bob", numbered("bob", 3, 4))
    repository.put_subject("guests", "bob", {"name": "Bob"})
    repository.enroll("staff", "eve", numbered("eve", 1, 2, 3))


def test_concurrent_enrolments_cannot_exceed_a_limit(limited: Open) -> None:
    repositories = [limited(faces_per_subject=5, faces_per_gallery=7) for _ in range(3)]

    def enroll(number: int) -> bool:
        subject = f"subject {number % 2}"
        try:
            repositories[number % 3].enroll("guests", subject, numbered(subject, number))
        except LikenessError:
            return False
        return True

    assert sum(map_in_threads(enroll, range(24), threads=6)) == 7
    assert repositories[0].gallery("guests").faces == 7
    assert max(subject.faces for subject in repositories[0].subjects("guests", 10, "")) <= 5


def test_an_import_cannot_exceed_a_limit(limited: Open, repository: FileRepository, file: Path) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1, 2, 3))
    export_gallery(repository, "guests", file)
    small = limited(faces_per_subject=2)

    with pytest.raises(InvalidRequest, match="expected at most 2 faces of subject 'ada', got 3"):
        import_gallery(small, "copy", file)
    with pytest.raises(NotFound):
        small.gallery("copy")
