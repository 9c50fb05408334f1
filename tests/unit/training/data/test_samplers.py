from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.samplers import FillingSampler, Indices, PeopleSampler, TooFewFaces, TooFewPeople, TripletSampler

COUNTS = st.lists(st.integers(1, 9), min_size=3, max_size=12)


def faces_of(counts: list[int]) -> list[Indices]:
    ends = np.cumsum(counts)
    return [np.arange(end - count, end) for count, end in zip(counts, ends, strict=True)]


def people_of(counts: list[int]) -> Indices:
    return np.repeat(np.arange(len(counts)), counts)


@given(counts=COUNTS, faces=st.integers(2, 5), seed=st.integers(0, 99), step=st.integers(0, 30))
def test_a_batch_holds_p_people_with_k_faces_side_by_side(counts: list[int], faces: int, seed: int, step: int) -> None:
    batch = people_of(counts)[PeopleSampler(faces_of(counts), 3, faces, seed).batch(step)].reshape(3, faces)
    assert len(set(batch[:, 0])) == 3
    assert (batch == batch[:, :1]).all()


@given(counts=COUNTS, faces=st.integers(2, 5), step=st.integers(0, 30))
def test_faces_repeat_only_as_often_as_they_must(counts: list[int], faces: int, step: int) -> None:
    batch = PeopleSampler(faces_of(counts), 3, faces, 1).batch(step)
    often = Counter(batch.tolist())
    needed = [-(-faces // counts[person]) for person in people_of(counts)]
    assert all(count <= needed[face] for face, count in often.items())


@given(counts=COUNTS, first=st.integers(0, 9))
def test_a_new_sampler_continues_with_the_same_batches(counts: list[int], first: int) -> None:
    uninterrupted = PeopleSampler(faces_of(counts), 3, 4, 7)
    before = [uninterrupted.batch(step) for step in range(first, first + 5)]
    after = [PeopleSampler(faces_of(counts), 3, 4, 7).batch(step) for step in range(first, first + 5)]
    assert np.array_equal(before, after)


def test_everyone_comes_once_per_epoch() -> None:
    counts = [3] * 12
    sampler = PeopleSampler(faces_of(counts), 4, 2, 1)
    for turn in range(5):
        batches = [sampler.batch(3 * turn + place) for place in range(3)]
        assert sorted(people_of(counts)[np.concatenate(batches)]) == sorted(list(range(12)) * 2)


def test_epochs_differ_in_order_and_batches_in_faces() -> None:
    counts = [9] * 12
    sampler = PeopleSampler(faces_of(counts), 12, 2, 1)
    first, second = sampler.batch(0), sampler.batch(1)
    assert people_of(counts)[first].tolist() != people_of(counts)[second].tolist()
    assert sorted((first % 9).tolist()) != sorted((second % 9).tolist())


def test_too_few_people_or_faces_are_refused() -> None:
    with pytest.raises(TooFewPeople, match="expected at least 32 people for a batch, got 2"):
        PeopleSampler(faces_of([3, 3]), 32, 4, 1)
    with pytest.raises(TooFewFaces, match="expected people with two faces or more, got one of each: add images"):
        PeopleSampler(faces_of([1, 1, 1]), 2, 4, 1).warning()


def test_a_majority_with_too_few_faces_is_warned_of() -> None:
    warning = "2 of 3 people have fewer than 4 faces, so batches repeat them: lower batch.faces or add images"
    assert PeopleSampler(faces_of([4, 3, 3]), 2, 4, 1).warning() == warning
    assert PeopleSampler(faces_of([4, 4, 3, 3]), 2, 4, 1).warning() is None


@given(count=st.integers(1, 7), mined=st.integers(1, 9))
def test_each_mined_triplet_comes_once_per_epoch_with_its_faces_side_by_side(count: int, mined: int) -> None:
    triplets = np.arange(3 * mined).reshape(mined, 3)
    sampler = TripletSampler(triplets, count, 1)
    drawn = np.concatenate([sampler.batch(step) for step in range(mined)]).reshape(-1, 3)
    assert Counter(map(tuple, drawn.tolist())) == Counter({tuple(one): count for one in triplets.tolist()})
    assert sampler.triplets.anchors.tolist() == list(range(0, 3 * count, 3))
    assert sampler.triplets.negatives.tolist() == list(range(2, 3 * count, 3))


@given(counts=COUNTS, faces=st.integers(2, 5), seed=st.integers(0, 99), step=st.integers(0, 30))
def test_people_are_added_until_there_are_enough_different_faces(
    counts: list[int], faces: int, seed: int, step: int
) -> None:
    count = min(3 * faces, sum(min(each, faces) for each in counts))
    batch = FillingSampler(faces_of(counts), count, faces, seed).batch(step)
    people = people_of(counts)[batch].tolist()
    assert len(set(batch.tolist())) == len(batch) == count
    order = list(dict.fromkeys(people))
    taken = [people.count(person) for person in order]
    assert people == [person for person, number in zip(order, taken, strict=True) for _ in range(number)]
    assert taken[:-1] == [min(counts[person], faces) for person in order[:-1]]  # all but the last give what they have
    assert np.array_equal(batch, FillingSampler(faces_of(counts), count, faces, seed).batch(step))


def test_a_filled_batch_needs_enough_different_faces() -> None:
    with pytest.raises(TooFewFaces, match="expected at least 12 faces for a batch, at most 4 of each person, got 9"):
        FillingSampler(faces_of([8, 3, 2]), 12, 4, 1)


def test_triplets_are_counted_from_the_first_step_of_their_round() -> None:
    triplets = np.arange(15).reshape(5, 3)
    sampler = TripletSampler(triplets, 2, 1, first=7)
    drawn = np.concatenate([sampler.batch(step) for step in (7, 8, 9)]).reshape(-1, 3)[:5]
    assert sorted(map(tuple, drawn.tolist())) == sorted(map(tuple, triplets.tolist()))
