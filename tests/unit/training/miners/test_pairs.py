import pytest
import torch

from training.miners.pairs import PAIR_MINERS, all_pairs, balanced_pairs

PEOPLE = torch.tensor([0, 0, 1, 1, 2, 2])


def test_all_pairs_are_every_two_faces_once() -> None:
    found = all_pairs(PEOPLE)
    assert list(zip(found.first.tolist(), found.second.tolist(), strict=True)) == [
        (a, b) for a in range(6) for b in range(a + 1, 6)
    ]
    assert found.same.tolist() == [bool(PEOPLE[a] == PEOPLE[b]) for a in range(6) for b in range(a + 1, 6)]


def test_balanced_pairs_are_half_of_one_person_and_others_each_time() -> None:
    found = [balanced_pairs(PEOPLE, torch.Generator().manual_seed(seed)) for seed in range(50)]
    assert all(int(one.same.sum()) == 3 == len(one) - 3 for one in found)
    assert len({(a, b) for one in found for a, b in zip(one.first.tolist(), one.second.tolist(), strict=True)}) == 15


@pytest.mark.parametrize(("name", "count"), [("all-pairs", 15), ("balanced-pairs", 6)])
def test_pair_miners_are_registered_by_name(name: str, count: int) -> None:
    assert len(PAIR_MINERS[name](PEOPLE, torch.Generator())) == count
