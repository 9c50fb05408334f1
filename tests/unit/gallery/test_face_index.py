"""The index alone, against a search that looks at everything."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.arrays import Floats
from app.gallery import face_index
from app.gallery.face_index import FaceIndex
from app.gallery.packed_ids import Rows
from app.gallery.ranking import Hit, Query, Ranking
from app.gallery.records import StoredVector
from app.gallery.segment import Segment
from tests.support.templates import DIMENSION, unit
from tests.support.vectors import memory_of

ANY = 4.0
NUMBER, OFFSET = st.integers(0, 30), st.integers(-32, 96).map(lambda number: number / 64)  # equal, or clearly not
STEP = st.tuples(
    st.lists(NUMBER, max_size=5),
    st.lists(st.tuples(NUMBER, st.sampled_from("abcdef"), st.integers(0, 20), OFFSET), max_size=12),
)
QUERY = st.tuples(
    st.integers(0, 20), st.integers(1, 7), st.sampled_from([0.513, 1.013, 1.513, 2.013, ANY]), OFFSET, st.booleans()
)


def entry(seed: int, subject: str, offset: float = 0.0) -> StoredVector:
    return StoredVector(str(seed), subject, unit(seed), offset)


def index_of(faces: Sequence[StoredVector]) -> FaceIndex:
    index = FaceIndex(DIMENSION)
    index.add(faces)
    return index


def found(
    index: FaceIndex, vector: Floats, subjects: int, threshold: float, *, offset: float = 0.0, plain: bool = False
) -> list[Hit]:
    (hits,) = index.search([Query(vector, subjects, threshold, offset, plain)])
    return hits


def by_hand(
    faces: Sequence[StoredVector], probe: Floats, subjects: int, threshold: float, *, plain: bool = False
) -> list[tuple[str, str]]:
    """Subjects by their nearest face, nearest first, all scores (or if plain, distances) taken one by one."""
    weight = 0 if plain else 1
    measured = sorted(
        (float(np.sum((face.vector - probe) ** 2)) + weight * face.threshold_offset, face.face_id, face.subject_id)
        for face in faces
    )
    nearest: dict[str, str] = {}
    for _, face, subject in [each for each in measured if each[0] <= threshold]:
        nearest.setdefault(subject, face)
    return [(face, subject) for subject, face in nearest.items()][:subjects]


def ids(hits: Sequence[Hit]) -> list[tuple[str, str]]:
    return [(hit.face_id, hit.subject_id) for hit in hits]


def test_an_offset_hides_a_nearer_face_only_from_a_threshold_that_it_tightens() -> None:
    east, north = np.eye(2, DIMENSION, dtype=np.float32)
    index = index_of([StoredVector("1", "ada", east, 0.5), StoredVector("2", "bob", north, 0.0)])
    near = normed(east + 0.2 * north)

    assert [hit.subject_id for hit in found(index, near, 5, 0.4)] == []
    assert [hit.subject_id for hit in found(index, near, 5, 0.4, plain=True)] == ["ada"]
    assert [hit.subject_id for hit in found(index, near, 5, ANY, offset=-0.5)] == ["ada", "bob"]


def test_the_distance_is_the_squared_l2_of_the_vectors() -> None:
    (hit,) = found(index_of([entry(1, "ada")]), unit(2), 1, ANY)

    assert hit.pair.distance.squared_l2 == pytest.approx(float(np.sum((unit(1) - unit(2)) ** 2)), abs=1e-6)
    assert type(hit.pair.distance.squared_l2) is float


def test_an_emptied_index_finds_nobody_and_can_be_filled_again() -> None:
    index = index_of([entry(1, "ada")])
    index.remove(["1"])

    assert (len(index), found(index, unit(1), 5, ANY)) == (0, [])
    index.add([entry(1, "bob")])
    assert ids(found(index, unit(1), 5, ANY)) == [("1", "bob")]


def test_a_subject_with_many_faces_cannot_hide_the_others() -> None:
    probe, across = np.eye(2, DIMENSION, dtype=np.float32)
    crowd = [StoredVector(f"crowd {seed}", "crowd", normed(probe + 0.01 * unit(seed))) for seed in range(500)]
    far, middle = (StoredVector(name, name, normed(probe + by * across)) for name, by in (("far", 3), ("middle", 1)))
    index = index_of([*crowd, far, middle])

    assert [hit.subject_id for hit in found(index, probe, 3, ANY)] == ["crowd", "middle", "far"]


def test_only_subjects_within_the_threshold_are_found_and_one_at_it_is() -> None:
    index = index_of([StoredVector("same", "same", unit(1)), StoredVector("opposite", "opposite", -unit(1))])

    assert [hit.subject_id for hit in found(index, unit(1), 5, 3.9)] == ["same"]
    assert [hit.subject_id for hit in found(index, unit(1), 5, ANY)] == ["same", "opposite"]


def test_an_id_that_is_there_is_left_alone() -> None:
    index = index_of([entry(1, "ada")])
    index.add([StoredVector("1", "bob", unit(2))])

    assert len(index) == 1
    assert ids(found(index, unit(1), 5, ANY)) == [("1", "ada")]


def test_an_id_that_comes_twice_at_once_is_one_face() -> None:
    index = index_of([entry(1, "ada"), StoredVector("1", "bob", unit(2))])

    assert len(index) == 1
    index.remove(["1"])
    assert found(index, unit(1), 5, ANY) == []


def sealing_index() -> FaceIndex:
    """An index with so little room that a few faces fill segments."""
    return FaceIndex(DIMENSION, tail_rows=4, segment_rows=64)


@pytest.mark.parametrize("index", [FaceIndex(DIMENSION), sealing_index()], ids=["tail", "segments"])
def test_a_removed_vector_is_overwritten_at_once(index: FaceIndex) -> None:
    index.add([entry(seed, "ada", 0.5) for seed in range(6)])
    before = memory_of(index)
    index.remove(["3"])
    after = memory_of(index)

    np.testing.assert_allclose(before, [unit(seed) for seed in range(6)], atol=1e-6)
    np.testing.assert_array_equal(after[3], 0)
    np.testing.assert_array_equal(np.delete(after, 3, axis=0), np.delete(before, 3, axis=0))


@given(
    makes_index=st.sampled_from([sealing_index, lambda: FaceIndex(DIMENSION)]),
    steps=st.lists(STEP, max_size=12),
    queries=st.sampled_from([1, 2, 20]).flatmap(lambda many: st.lists(QUERY, min_size=many, max_size=many)),
)
def test_whatever_changes_it_finds_what_looking_at_everything_finds(
    makes_index: Callable[[], FaceIndex], steps: list[Any], queries: list[Any]
) -> None:
    """Vectors repeat, so that there are ties; ids come back; queries come alone and together."""
    index, faces = makes_index(), dict[str, StoredVector]()
    for removed, added in steps:
        gone = [str(number) for number in removed]
        new = [StoredVector(str(number), subject, unit(seed), offset) for number, subject, seed, offset in added]
        index.change(gone, new)
        for face_id in gone:
            faces.pop(face_id, None)
        for face in new:
            faces.setdefault(face.face_id, face)
    results = index.search(
        [Query(unit(seed), subjects, threshold, own, plain) for seed, subjects, threshold, own, plain in queries]
    )

    assert len(index) == len(faces)
    for (seed, subjects, threshold, own, plain), hits in zip(queries, results, strict=True):
        limit = threshold if plain else threshold - own
        expected = by_hand(list(faces.values()), unit(seed), subjects, limit, plain=plain)
        assert ids(hits) == expected
        for hit in hits:
            exact = float(np.sum((faces[hit.face_id].vector.astype(np.float64) - unit(seed)) ** 2))
            assert hit.pair.distance.squared_l2 == pytest.approx(exact, abs=1e-6)
            assert hit.pair.offset == own + faces[hit.face_id].threshold_offset


@pytest.mark.parametrize(("dimension", "offsets"), [(128, 0.3), (512, 0.0)])
def test_large_galleries_give_the_nearest_of_all(dimension: int, offsets: float) -> None:
    """Clusters of near faces, removals, every kind of product, and thresholds from strict to none."""
    random = np.random.default_rng(dimension)
    people = random.standard_normal((900, dimension))
    faces = np.repeat(people, 20, axis=0) + 0.3 * random.standard_normal((18_000, dimension))
    faces = np.asarray(faces / np.linalg.norm(faces, axis=1, keepdims=True), np.float32)
    spread = random.uniform(-offsets, offsets, len(faces)).astype(np.float32)
    index = FaceIndex(dimension, segment_rows=8192)
    index.add(
        [
            StoredVector(f"{row:05}", str(row // 20), vector, float(offset))
            for row, (vector, offset) in enumerate(zip(faces, spread, strict=True))
        ]
    )
    gone = random.choice(len(faces), 6000, replace=False)
    index.remove([f"{row:05}" for row in gone])
    left = np.setdiff1d(np.arange(len(faces)), gone)
    exact = faces[left].astype(np.float64)
    probes = [normed(faces[row] + 0.03 * unit(row, dimension)) for row in left[:10]]
    for threshold in (0.2, 1.0, ANY):
        queries = [Query(probe, 5, threshold, offset=0.1) for probe in probes]
        for query, hits in zip(queries, index.search(queries), strict=True):
            ranks = 2 - 2 * (exact @ query.vector) + spread[left]
            order = np.argsort(ranks)[: np.sum(ranks <= threshold - 0.1)]
            nearest: dict[str, str] = {}
            for row in left[order[:200]]:  # among which there are faces of ten subjects at least
                nearest.setdefault(str(row // 20), f"{row:05}")
            assert ids(hits) == [(face, subject) for subject, face in nearest.items()][:5]
            assert [hits] == index.search([query])


def test_a_quarter_of_dead_rows_is_packed_away_and_fewer_wait() -> None:
    faces = [entry(seed, str(seed % 7), seed / 400) for seed in range(400)]
    index = FaceIndex(DIMENSION, tail_rows=10)
    index.add(faces)
    index.remove([str(seed) for seed in range(100)])
    waiting = len(memory_of(index))
    index.remove(["100"])
    packed = len(memory_of(index))

    assert (waiting, packed) == (400, 299)
    assert ids(found(index, unit(9999), 7, ANY)) == by_hand(faces[101:], unit(9999), 7, ANY)
    index.remove(["399"])
    assert ids(found(index, unit(9999), 7, ANY)) == by_hand(faces[101:399], unit(9999), 7, ANY)


def test_there_are_few_segments_however_many_times_faces_are_added() -> None:
    index = FaceIndex(DIMENSION, tail_rows=4, segment_rows=512)
    for seed in range(1000):
        index.add([entry(seed, "ada")])

    assert len(index) == 1000
    assert len(index._segments) <= 12


def test_a_face_that_moves_to_another_subject_is_found_at_every_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search meanwhile may find it twice, but never nowhere."""
    index = FaceIndex(DIMENSION)
    index.add([entry(1, "ada")])
    seen: list[int] = []

    def watched(faces: Sequence[tuple[Segment, Rows]]) -> None:
        seen.append(len(found(index, unit(1), 5, 0.1)))
        remove(faces)
        seen.append(len(found(index, unit(1), 5, 0.1)))

    remove = face_index._remove
    monkeypatch.setattr(face_index, "_remove", watched)
    index.change(["1"], [entry(1, "bob")])

    assert seen == [2, 1]
    assert ids(found(index, unit(1), 5, 0.1)) == [("1", "bob")]


def test_a_face_that_is_removed_during_a_search_is_no_hit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search has read its vector already."""
    index = sealing_index()
    index.add([entry(seed, str(seed)) for seed in range(8)])
    hits_of = Ranking.hits

    def remove_first(ranking: Ranking) -> list[Hit] | None:
        index.remove(["3"])
        return hits_of(ranking)

    monkeypatch.setattr(Ranking, "hits", remove_first)

    assert "3" not in [hit.face_id for hit in found(index, unit(3), 8, ANY)]


def normed(vector: Floats) -> Floats:
    return np.asarray(vector / np.linalg.norm(vector), np.float32)
