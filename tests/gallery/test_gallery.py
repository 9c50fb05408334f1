"""Search follows the records, whoever changed them."""

from pathlib import Path

import pytest

from app.domain.errors import ModelMismatch, NotFound
from app.domain.models import Embedding
from app.gallery.repository import GalleryRepository
from app.gallery.search import GallerySearch
from tests.support.records import FileRecords
from tests.support.templates import MODEL, numbered, template, unit

ANY = 4.0


def probe(seed: int, model: str = MODEL, dimension: int = 8) -> Embedding:
    return Embedding(unit(seed, dimension), model)


def found(gallery: GallerySearch, seed: int) -> list[str]:
    """Ids of the faces that are the one of `seed`."""
    return [hit.face_id for hit in gallery.search("guests", probe(seed), 10, 0.001)[1]]


def test_what_was_enrolled_is_found(records: GalleryRepository, gallery: GallerySearch) -> None:
    records.enroll("guests", "ada", numbered("ada", 1))

    assert found(gallery, 1) == ["1"]
    assert found(gallery, 2) == []


def test_a_search_tells_the_state_that_it_searched(records: GalleryRepository, gallery: GallerySearch) -> None:
    records.enroll("guests", "ada", numbered("ada", 1, 2))
    searched, _ = gallery.search("guests", probe(1), 10, ANY)

    assert searched == records.gallery("guests")


def test_what_another_process_changes_is_seen_by_the_next_search(
    records: GalleryRepository, others: GalleryRepository, gallery: GallerySearch
) -> None:
    records.enroll("guests", "ada", numbered("ada", 1, 2))
    before = [found(gallery, seed) for seed in (1, 2, 3)]
    others.delete_face("guests", "ada", "1")
    others.enroll("guests", "bob", numbered("bob", 3))

    assert before == [["1"], ["2"], []]
    assert [found(gallery, seed) for seed in (1, 2, 3)] == [[], ["2"], ["3"]]


def test_a_face_that_was_deleted_and_imported_again_between_two_searches_is_found(
    records: GalleryRepository, others: GalleryRepository, gallery: GallerySearch
) -> None:
    records.enroll("guests", "ada", numbered("ada", 1))
    gallery.warm()
    others.delete_face("guests", "ada", "1")
    others.enroll("guests", "bob", [template("1", "bob", unit(2))])
    (hit,) = gallery.search("guests", probe(2), 10, ANY)[1]

    assert (hit.face_id, hit.subject_id, round(hit.distance.squared_l2, 6)) == ("1", "bob", 0.0)


def test_a_gallery_deleted_and_made_anew_elsewhere_is_searched_anew(
    records: GalleryRepository, others: GalleryRepository, gallery: GallerySearch
) -> None:
    records.enroll("guests", "ada", numbered("ada", 1))
    gallery.warm()
    others.delete_gallery("guests")
    others.enroll("guests", "ada", numbered("ada", 2))

    assert [found(gallery, seed) for seed in (1, 2)] == [[], ["2"]]


def test_a_gallery_that_is_gone_is_not_found(records: GalleryRepository, gallery: GallerySearch) -> None:
    records.enroll("guests", "ada", numbered("ada", 1))
    gallery.warm()
    records.delete_gallery("guests")

    with pytest.raises(NotFound):
        gallery.search("guests", probe(1), 10, ANY)


def test_an_empty_gallery_is_searched_and_nobody_found(records: GalleryRepository, gallery: GallerySearch) -> None:
    records.create_gallery("guests")
    records.put_subject("guests", "ada", {})

    assert gallery.search("guests", probe(1), 10, ANY) == (records.gallery("guests"), [])


def test_a_probe_of_another_model_is_refused(records: GalleryRepository, gallery: GallerySearch) -> None:
    records.enroll("guests", "ada", numbered("ada", 1))
    gallery.warm()

    with pytest.raises(ModelMismatch, match=f"filled by model {MODEL}, not sha256:other"):
        gallery.search("guests", probe(1, "sha256:other", dimension=4), 10, ANY)
    assert found(gallery, 1) == ["1"]


def test_a_gallery_that_was_empty_takes_the_dimension_of_whoever_fills_it(
    records: GalleryRepository, others: GalleryRepository, gallery: GallerySearch
) -> None:
    records.create_gallery("guests")
    gallery.search("guests", probe(1, "sha256:other", dimension=4), 10, ANY)
    others.enroll("guests", "ada", numbered("ada", 1))

    with pytest.raises(ModelMismatch):
        gallery.search("guests", probe(1, "sha256:other", dimension=4), 10, ANY)
    assert found(gallery, 1) == ["1"]


def test_a_reopened_file_finds_what_was_enrolled_before(path: Path, records: GalleryRepository) -> None:
    records.enroll("guests", "ada", numbered("ada", 1))
    records.close()
    reopened = FileRecords(path)

    assert found(GallerySearch(reopened), 1) == ["1"]
    reopened.close()


def test_what_another_process_erased_leaves_the_memory_without_a_search(
    records: GalleryRepository, others: GalleryRepository, gallery: GallerySearch
) -> None:
    records.enroll("guests", "ada", numbered("ada", 1))
    records.enroll("guests", "bob", numbered("bob", 2))
    gallery.warm()
    gallery.follow()
    others.delete_subject("guests", "ada")
    memory = gallery._cache["guests"].index._vectors()  # type: ignore[union-attr]
    before = (memory @ unit(1) > 0.99).any()
    gallery.follow()

    assert before
    assert not (memory @ unit(1) > 0.99).any()
    assert (memory @ unit(2) > 0.99).any()


def test_where_nothing_has_changed_following_looks_at_no_gallery(
    records: GalleryRepository, others: GalleryRepository, gallery: GallerySearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    records.enroll("guests", "ada", numbered("ada", 1))
    gallery.warm()
    gallery.follow()
    monkeypatch.setattr(gallery, "refresh", looked.append)
    gallery.follow()
    others.put_subject("elsewhere", "eve", {})
    gallery.follow()
    gallery.follow()

    assert looked == ["guests"]
