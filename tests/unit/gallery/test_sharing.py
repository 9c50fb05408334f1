"""Several processes on one file, and a file that cannot take more."""

import pytest

from app.domain.errors import StorageFull
from app.gallery.repository import GalleryRepository
from tests.support.background import map_in_threads
from tests.support.templates import numbered

pytestmark = pytest.mark.any_database


def test_changes_made_at_once_by_two_processes_are_all_kept(
    repository: GalleryRepository, others: GalleryRepository
) -> None:
    def enroll(seed: int) -> None:
        (repository, others)[seed % 2].enroll("guests", str(seed), numbered(str(seed), seed))

    map_in_threads(enroll, range(20), 4)

    gallery = repository.gallery("guests")
    assert (gallery.subjects, gallery.faces, gallery.revision) == (20, 20, 20)
    assert others.galleries() == [gallery]


@pytest.mark.only_sqlite
def test_a_full_disk_refuses_the_change_and_spoils_nothing(repository: GalleryRepository) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1))
    before = repository.galleries()
    with repository._database.reading() as db:
        db.execute("PRAGMA max_page_count = 1")  # no page more than there are

    with pytest.raises(StorageFull, match="no space"):
        repository.enroll("guests", "bob", numbered("bob", *range(2, 100)))
    assert repository.galleries() == before
    repository.delete_subject("guests", "ada")
    assert repository.gallery("guests").faces == 0
