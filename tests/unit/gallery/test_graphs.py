"""A graph of neighbours finds nearly all that the exact search finds, and nothing that was removed."""

import threading

import numpy as np
import pytest

from app.domain.errors import InvalidRequest
from app.gallery import recall
from app.gallery.face_index import FaceIndex
from app.gallery.faiss_graph import rows_of
from app.gallery.ranking import Query
from app.gallery.records import StoredVector
from app.gallery.repository import GalleryRepository
from tests.support.templates import template, unit
from tests.support.vectors import memory_of

FACES, DIMENSION, ANY = 3000, 32, 4.0


@pytest.fixture
def index() -> FaceIndex:
    filled = FaceIndex(DIMENSION, tail_rows=10)
    filled.add([StoredVector(str(seed), str(seed // 3), unit(seed, DIMENSION)) for seed in range(FACES)])
    filled.build_graphs(fewest=100)
    return filled


def query(seed: int) -> Query:
    return Query(unit(seed, DIMENSION), 10, ANY)


def test_a_graph_finds_nearly_all(index: FaceIndex) -> None:
    queries = [query(seed) for seed in range(FACES, FACES + 40)]
    shares = [
        len({hit.face_id for hit in found} & {hit.face_id for hit in exact}) / 10
        for found, exact in zip(index.search(queries), index.search(queries, exact=True), strict=True)
    ]

    assert index.share_in_graphs() == 1
    assert np.mean(shares) > 0.95


def test_what_is_removed_is_found_no_more_and_overwritten(index: FaceIndex) -> None:
    before = [hit.face_id for hit in index.search([query(7)])[0]]
    index.remove(["7"])

    assert before[0] == "7"
    assert index.share_in_graphs() == 1
    assert "7" not in [hit.face_id for hit in index.search([query(7)])[0]]
    assert not (memory_of(index) @ unit(7, DIMENSION) > 0.99).any()


def test_new_faces_are_found_before_they_are_in_a_graph(index: FaceIndex) -> None:
    index.add([StoredVector("new", "new", unit(FACES, DIMENSION))])

    assert index.search([query(FACES)])[0][0].face_id == "new"


def test_what_is_removed_while_a_graph_is_built_is_not_left_in_its_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    index = FaceIndex(DIMENSION, tail_rows=10)
    index.add([StoredVector(str(seed), str(seed), unit(seed, DIMENSION)) for seed in range(FACES)])
    (graph,) = [segment.vectors.graph for segment in index._sealed]
    copies: list[int] = []

    def step() -> None:
        if graph._copy is not None and graph._copy.ntotal:
            worker = threading.Thread(target=index.remove, args=[["5"]], daemon=True)
            worker.start()
            worker.join(30)
            copies.append(int((rows_of(graph._copy)[5] != 128).sum()))

    monkeypatch.setattr("app.gallery.faiss_graph.raise_if_cancelled", step)
    index.build_graphs(fewest=100)

    assert copies
    assert set(copies) == {0}
    assert "5" not in [hit.face_id for hit in index.search([query(5)])[0]]


@pytest.mark.slow
def test_recall_is_measured_on_the_gallery(repository: GalleryRepository) -> None:
    for person in range(100):
        seeds = range(person, 5000, 100)
        repository.enroll(
            "guests", str(person), [template(str(seed), str(person), unit(seed, DIMENSION)) for seed in seeds]
        )
    measured = recall.measure(repository, "guests", 20, graph_rows=1000)

    assert (measured.faces, measured.sample, measured.in_graphs) == (5000, 20, 1.0)
    assert measured.nearest > 0.9
    assert measured.ten_nearest > 0.9


def test_an_empty_gallery_has_no_recall(repository: GalleryRepository) -> None:
    repository.create_gallery("guests")
    with pytest.raises(InvalidRequest, match="expected a gallery with faces"):
        recall.measure(repository, "guests", 20)


def test_a_graph_that_nobody_waits_for_is_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop() -> None:
        raise TimeoutError

    index = FaceIndex(DIMENSION, tail_rows=10)
    index.add([StoredVector(str(seed), str(seed), unit(seed, DIMENSION)) for seed in range(100)])
    monkeypatch.setattr("app.gallery.faiss_graph.raise_if_cancelled", stop)
    with pytest.raises(TimeoutError):
        index.build_graphs(fewest=10)

    assert index.share_in_graphs() == 0
    assert index.search([query(7)])[0][0].face_id == "7"
