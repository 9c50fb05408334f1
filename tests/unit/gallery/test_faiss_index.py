"""The index alone, against a search that looks at everything."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.models import Floats
from app.gallery.faiss_index import FaceIndex, Hit
from app.gallery.records import StoredVector
from tests.support.templates import DIMENSION, unit

ANY = 4.0


def entry(seed: int, subject: str, offset: float = 0.0) -> StoredVector:
    return StoredVector(str(seed), subject, unit(seed), offset)


def index_of(faces: Sequence[StoredVector]) -> FaceIndex:
    index = FaceIndex(DIMENSION)
    index.add(faces)
    return index


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


@given(
    owners=st.lists(st.sampled_from("abcdef"), max_size=40),
    removed=st.sets(st.integers(0, 39)),
    subjects=st.integers(1, 7),
    threshold=st.sampled_from([0.5, 1.0, 1.5, 2.0, ANY]),
)
def test_it_finds_what_looking_at_everything_finds(
    owners: list[str], removed: set[int], subjects: int, threshold: float
) -> None:
    faces = [entry(seed, subject) for seed, subject in enumerate(owners)]
    index = index_of(faces)
    index.remove([str(seed) for seed in removed])
    left = [face for face in faces if int(face.face_id) not in removed]

    assert ids(index.search(unit(1000), subjects, threshold)) == by_hand(left, unit(1000), subjects, threshold)
    assert len(index) == len(left)


@given(
    owners=st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(-0.5, 1.5, width=32)), max_size=40),
    removed=st.sets(st.integers(0, 39)),
    subjects=st.integers(1, 7),
    threshold=st.sampled_from([0.5, 1.0, 1.5, 2.0, ANY]),
    own=st.floats(-0.5, 1.5, width=32),
    plain=st.booleans(),
)
def test_with_threshold_offsets_it_finds_what_looking_at_everything_finds(
    owners: list[tuple[str, float]], removed: set[int], subjects: int, threshold: float, own: float, *, plain: bool
) -> None:
    faces = [entry(seed, subject, offset) for seed, (subject, offset) in enumerate(owners)]
    index = index_of(faces)
    index.remove([str(seed) for seed in removed])
    left = [face for face in faces if int(face.face_id) not in removed]
    hits = index.search(unit(1000), subjects, threshold, offset=own, plain=plain)

    limit = threshold if plain else threshold - own
    assert ids(hits) == by_hand(left, unit(1000), subjects, limit, plain=plain)
    for hit in hits:
        face = faces[int(hit.face_id)]
        assert hit.pair.distance.squared_l2 == pytest.approx(float(np.sum((face.vector - unit(1000)) ** 2)), abs=1e-5)
        assert hit.pair.offset == own + face.threshold_offset


def test_an_offset_hides_a_nearer_face_only_from_a_threshold_that_it_tightens() -> None:
    east, north = np.eye(2, DIMENSION, dtype=np.float32)
    index = index_of([StoredVector("1", "ada", east, 0.5), StoredVector("2", "bob", north, 0.0)])
    near = normed(east + 0.2 * north)

    assert [hit.subject_id for hit in index.search(near, 5, 0.4)] == []
    assert [hit.subject_id for hit in index.search(near, 5, 0.4, plain=True)] == ["ada"]
    assert [hit.subject_id for hit in index.search(near, 5, ANY, offset=-0.5)] == ["ada", "bob"]


def test_the_distance_is_the_squared_l2_of_the_vectors() -> None:
    (hit,) = index_of([entry(1, "ada")]).search(unit(2), 1, ANY)

    assert hit.pair.distance.squared_l2 == pytest.approx(float(np.sum((unit(1) - unit(2)) ** 2)), abs=1e-6)
    assert type(hit.pair.distance.squared_l2) is float


def test_an_emptied_index_finds_nobody_and_can_be_filled_again() -> None:
    index = index_of([entry(1, "ada")])
    index.remove(["1"])

    assert (len(index), index.search(unit(1), 5, ANY)) == (0, [])
    index.add([entry(1, "bob")])
    assert ids(index.search(unit(1), 5, ANY)) == [("1", "bob")]


def test_a_subject_with_many_faces_cannot_hide_the_others() -> None:
    probe, across = np.eye(2, DIMENSION, dtype=np.float32)
    crowd = [StoredVector(f"crowd {seed}", "crowd", normed(probe + 0.01 * unit(seed))) for seed in range(500)]
    far, middle = (StoredVector(name, name, normed(probe + by * across)) for name, by in (("far", 3), ("middle", 1)))
    index = index_of([*crowd, far, middle])

    assert [hit.subject_id for hit in index.search(probe, 3, ANY)] == ["crowd", "middle", "far"]


def test_only_subjects_within_the_threshold_are_found_and_one_at_it_is() -> None:
    index = index_of([StoredVector("same", "same", unit(1)), StoredVector("opposite", "opposite", -unit(1))])

    assert [hit.subject_id for hit in index.search(unit(1), 5, 3.9)] == ["same"]
    assert [hit.subject_id for hit in index.search(unit(1), 5, ANY)] == ["same", "opposite"]


def test_an_id_that_is_there_is_left_alone() -> None:
    index = index_of([entry(1, "ada")])
    index.add([StoredVector("1", "bob", unit(2))])

    assert len(index) == 1
    assert ids(index.search(unit(1), 5, ANY)) == [("1", "ada")]


def test_an_id_that_comes_twice_at_once_is_one_face() -> None:
    index = index_of([entry(1, "ada"), StoredVector("1", "bob", unit(2))])

    assert len(index) == 1
    index.remove(["1"])
    assert index.search(unit(1), 5, ANY) == []


def test_a_removed_vector_is_overwritten_at_once() -> None:
    index = index_of([entry(seed, "ada", 0.5) for seed in range(5)])
    index.remove(["3"])

    np.testing.assert_array_equal(index._vectors()[3], 0)
    np.testing.assert_array_equal(index._vectors()[4], [*unit(4), -0.25])


def test_a_quarter_of_dead_rows_is_packed_away_and_fewer_wait() -> None:
    faces = [entry(seed, str(seed % 7), seed / 400) for seed in range(400)]
    index = index_of(faces)
    index.remove([str(seed) for seed in range(100)])
    waiting = len(index._vectors())
    index.remove(["100"])
    packed = len(index._vectors())

    assert (waiting, packed) == (400, 299)
    assert ids(index.search(unit(9999), 7, ANY)) == by_hand(faces[101:], unit(9999), 7, ANY)
    index.remove(["399"])
    assert ids(index.search(unit(9999), 7, ANY)) == by_hand(faces[101:399], unit(9999), 7, ANY)


def normed(vector: Floats) -> Floats:
    return np.asarray(vector / np.linalg.norm(vector), np.float32)
