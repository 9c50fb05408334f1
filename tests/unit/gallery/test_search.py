"""Search follows the repository, whoever changed them."""

import asyncio
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from app.concurrency.worker_pool import WorkerPool, raise_if_cancelled
from app.domain.arrays import Floats
from app.domain.embeddings import Embedding
from app.domain.errors import ModelMismatch
from app.gallery.repository import GalleryRepository
from app.gallery.search import GallerySearch
from tests.support.fakes import WeightedOffsets
from tests.support.repository import FileRepository, wait_until_known
from tests.support.templates import MODEL, numbered, unit
from tests.support.vectors import memory_of

pytestmark = pytest.mark.any_database

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


OFFSETS = WeightedOffsets([0.5, -0.5, 0, 0, 0, 0, 0, 0], MODEL)


def test_galleries_filled_before_the_model_had_offsets_get_them_from_their_vectors(
    repository: FileRepository, address: Path | str
) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1, 2))
    with closing(FileRepository(address, offsets=OFFSETS)) as again:
        search = GallerySearch(again)
        search.load_indexes()
        repository.enroll("guests", "bob", numbered("bob", 3))
        asked = Embedding(unit(9), MODEL, threshold_offset=0.25)
        _, hits = search.search("guests", asked, 10, ANY)
        faces = [*again.faces("guests", "ada"), *again.faces("guests", "bob")]

    expected = {seed: float(OFFSETS.of(unit(seed)[None])[0]) for seed in (1, 2, 3)}
    nearest = min((1, 2), key=lambda seed: float(((unit(seed) - unit(9)) ** 2).sum()) + expected[seed])
    assert {hit.face_id: hit.pair.offset for hit in hits} == {
        str(seed): pytest.approx(0.25 + expected[seed]) for seed in (nearest, 3)
    }
    assert {face.face_id: face.embedding.threshold_offset for face in faces} == {
        str(seed): pytest.approx(offset) for seed, offset in expected.items()
    }
    assert min(abs(offset) for offset in expected.values()) > 0.01


def test_vectors_of_another_model_have_no_offsets(repository: GalleryRepository, address: Path | str) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1))
    with closing(FileRepository(address, offsets=replace(OFFSETS, model="sha256:other"))) as again:
        GallerySearch(again).load_indexes()

        assert [face.embedding.threshold_offset for face in again.faces("guests", "ada")] == [0]


def test_an_index_is_brought_up_to_date_even_if_its_caller_has_left(path: Path) -> None:
    class Cancellable(WeightedOffsets):
        def of(self, vectors: Floats) -> Floats:
            raise_if_cancelled()
            return super().of(vectors)

    async def leave(search: GallerySearch) -> None:
        workers = WorkerPool("search", threads=1, max_waiting=1, deadline=60)

        def late() -> None:
            begun.set()
            left.wait(10)
            search.load_indexes()

        caller = asyncio.create_task(workers.run(late))
        await asyncio.to_thread(begun.wait, 10)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        left.set()
        await asyncio.to_thread(workers.close)

    begun, left = threading.Event(), threading.Event()
    with closing(FileRepository(path, offsets=Cancellable(OFFSETS.weights, MODEL))) as repository:
        repository.enroll("guests", "ada", numbered("ada", 1))
        search = GallerySearch(repository)
        asyncio.run(leave(search))

        assert [gallery.gallery.faces for gallery in search._indexed.values()] == [1]


def test_what_another_process_erased_leaves_the_memory_without_a_search(
    repository: GalleryRepository, others: GalleryRepository, search: GallerySearch
) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1))
    repository.enroll("guests", "bob", numbered("bob", 2))
    search.load_indexes()
    search.update_indexes()
    others.delete_subject("guests", "ada")
    index = search._indexed["guests"].index
    assert index is not None
    before = (memory_of(index) @ unit(1) > 0.99).any()
    wait_until_known(repository)
    search.update_indexes()

    assert before
    assert not (memory_of(index) @ unit(1) > 0.99).any()
    assert (memory_of(index) @ unit(2) > 0.99).any()


def test_where_nothing_has_changed_following_looks_at_no_gallery(
    repository: GalleryRepository, others: GalleryRepository, search: GallerySearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    repository.enroll("guests", "ada", numbered("ada", 1))
    search.load_indexes()
    wait_until_known(repository)
    search.update_indexes()
    monkeypatch.setattr(search, "update_index", looked.append)
    search.update_indexes()
    others.put_subject("elsewhere", "eve", {})
    wait_until_known(repository)
    search.update_indexes()
    search.update_indexes()

    assert looked == ["guests"]


def test_a_large_gallery_counts_its_faces_without_reading_the_rows(
    repository: GalleryRepository, others: GalleryRepository
) -> None:
    search = GallerySearch(repository, recount_below=0)
    repository.enroll("guests", "ada", numbered("ada", 1, 2, 3))
    counts = [search.info("guests").faces]
    others.enroll("guests", "bob", numbered("bob", 4, 5))
    counts.append(search.info("guests").faces)
    others.delete_face("guests", "ada", "1")
    repository.enroll("guests", "eve", numbered("eve", 1))
    counts.append(search.info("guests").faces)
    others.delete_subject("guests", "ada")
    info = search.info("guests")

    assert counts == [3, 5, 5]
    assert (info.faces, info.revision) == (3, repository.gallery("guests").revision)
    assert info.subjects == 1  # as counted a moment ago
