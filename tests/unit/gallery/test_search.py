"""Search follows the repository, whoever changed them."""

import pytest

from app.domain.errors import ModelMismatch
from app.domain.models import Embedding
from app.gallery.repository import GalleryRepository
from app.gallery.search import GallerySearch
from tests.support.templates import MODEL, numbered, unit

ANY = 4.0


def probe(seed: int, model: str = MODEL, dimension: int = 8) -> Embedding:
    return Embedding(unit(seed, dimension), model)


def found(search: GallerySearch, seed: int) -> list[str]:
    """Ids of the faces that are the one of `seed`."""
    return [hit.face_id for hit in search.search("guests", probe(seed), 10, 0.001)[1]]


def test_a_probe_of_another_model_is_refused(repository: GalleryRepository, search: GallerySearch) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1))
    search.load_indexes()

    with pytest.raises(ModelMismatch, match=f"filled by model {MODEL}, not sha256:other"):
        search.search("guests", probe(1, "sha256:other", dimension=4), 10, ANY)
    assert found(search, 1) == ["1"]


def test_a_gallery_that_was_empty_takes_the_dimension_of_whoever_fills_it(
    repository: GalleryRepository, others: GalleryRepository, search: GallerySearch
) -> None:
    repository.create_gallery("guests")
    search.search("guests", probe(1, "sha256:other", dimension=4), 10, ANY)
    others.enroll("guests", "ada", numbered("ada", 1))

    with pytest.raises(ModelMismatch):
        search.search("guests", probe(1, "sha256:other", dimension=4), 10, ANY)
    assert found(search, 1) == ["1"]


def test_what_another_process_erased_leaves_the_memory_without_a_search(
    repository: GalleryRepository, others: GalleryRepository, search: GallerySearch
) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1))
    repository.enroll("guests", "bob", numbered("bob", 2))
    search.load_indexes()
    search.update_indexes()
    others.delete_subject("guests", "ada")
    memory = search._indexed["guests"].index._vectors()  # type: ignore[union-attr]
    before = (memory @ unit(1) > 0.99).any()
    search.update_indexes()

    assert before
    assert not (memory @ unit(1) > 0.99).any()
    assert (memory @ unit(2) > 0.99).any()


def test_where_nothing_has_changed_following_looks_at_no_gallery(
    repository: GalleryRepository, others: GalleryRepository, search: GallerySearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    repository.enroll("guests", "ada", numbered("ada", 1))
    search.load_indexes()
    search.update_indexes()
    monkeypatch.setattr(search, "update_index", looked.append)
    search.update_indexes()
    others.put_subject("elsewhere", "eve", {})
    search.update_indexes()
    search.update_indexes()

    assert looked == ["guests"]
