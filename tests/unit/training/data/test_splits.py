import shutil
from pathlib import Path

import pytest

from tests.unit.training.support import changed
from training.config.schema import TrainConfig
from training.data.dataset import FaceSet
from training.data.sources import UnusableData
from training.data.splits import SharedPeople, hold_out, split


def test_a_person_is_either_trained_on_or_held_out(faces: FaceSet) -> None:
    trained, held_out = hold_out(faces, 0.34, seed=1)
    assert held_out is not None
    assert len(held_out.names) == 2
    assert sorted(trained.names + held_out.names) == sorted(faces.names)
    assert not set(trained.file_digests) & set(held_out.file_digests)


def test_the_seed_chooses_who_is_held_out(faces: FaceSet) -> None:
    choices = [hold_out(faces, 0.5, seed)[1] for seed in (1, 1, 2, 3)]
    names = [choice.names for choice in choices if choice]
    assert names[0] == names[1]
    assert len({names[0], names[2], names[3]}) > 1


@pytest.mark.parametrize("share", [0.1, 0.2])
def test_one_person_held_out_is_too_few(faces: FaceSet, share: float) -> None:
    with pytest.raises(
        UnusableData, match=r"evaluation\.held_out: expected two people or more on both sides, got 1 of 6"
    ):
        hold_out(faces, share, 1)


def test_people_of_another_folder_are_all_evaluated_on(config: TrainConfig, people: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for number in (4, 5):
        shutil.move(people / f"person{number}", other / f"stranger{number}")
    trained, held_out = split(changed(config, "evaluation", every=1, roots=[str(other)]))
    assert len(trained.names) == 4
    assert held_out is not None
    assert held_out.names == ("other/stranger4", "other/stranger5")


def test_an_image_in_training_and_evaluation_is_refused(config: TrainConfig, people: Path, tmp_path: Path) -> None:
    shutil.copytree(people, tmp_path / "other")
    shutil.move(tmp_path / "other" / "person0", tmp_path / "other" / "renamed")
    with pytest.raises(
        SharedPeople, match=r"18 images are in training and evaluation, such as .*other/.*: remove them"
    ):
        split(changed(config, "evaluation", every=1, roots=[str(tmp_path / "other")], shared_names="accept"))


def test_a_shared_name_is_refused_unless_it_is_accepted(config: TrainConfig, people: Path, tmp_path: Path) -> None:
    for number in (4, 5):
        shutil.move(people / f"person{number}", tmp_path / "other" / f"person{number - 3}")
    config = changed(config, "evaluation", every=1, roots=[str(tmp_path / "other")])
    with pytest.raises(SharedPeople, match=r"2 people are in training and evaluation, such as person1: remove them"):
        split(config)
    trained, others = split(changed(config, "evaluation", shared_names="accept"))
    assert others is not None
    assert (len(trained.names), len(others.names)) == (4, 2)
