"""A resumed run may change how and where it runs, but not what it learns."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.unit.training.engine.test_trainer import assert_equal
from tests.unit.training.support import WriteCrop, changed, weights
from training.config.schema import TrainConfig
from training.engine import trainer
from training.engine.checkpoints import UnusableCheckpoint


@pytest.fixture
def constant(config: TrainConfig) -> TrainConfig:
    """Six steps at a constant learning rate."""
    return changed(config, "optimizer", schedule="constant")


@pytest.fixture
def finished(constant: TrainConfig, tmp_path: Path) -> Path:
    trainer.train(constant, tmp_path / "run", resume=False)
    return tmp_path / "run"


def test_more_steps_continue_a_finished_run(constant: TrainConfig, finished: Path, tmp_path: Path) -> None:
    longer = changed(constant, "optimizer", steps=10)
    whole = weights(trainer.train(longer, tmp_path / "whole", resume=False))
    assert_equal(weights(trainer.train(longer, finished, resume=True)), whole)
    record = json.loads((finished / "run.json").read_text())
    assert record["config"]["optimizer"]["steps"] == 10
    assert record["resumed"] == [{"step": 6, "changes": {"optimizer.steps": [6, 10]}}]
    assert json.loads((finished / "config.json").read_text())["optimizer"]["steps"] == 10


def test_how_and_where_a_run_is_computed_may_change(
    constant: TrainConfig,
    finished: Path,
    people: Path,
    tiny: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    longer = changed(constant, "optimizer", steps=9)
    whole = weights(trainer.train(longer, tmp_path / "whole", resume=False))
    shutil.move(people, tmp_path / "elsewhere" / "people")
    tiny.rename(tmp_path / "moved.pt")
    moved = changed(longer, "data", roots=[str(tmp_path / "elsewhere" / "people")])
    moved = changed(moved, "network", weights=str(tmp_path / "moved.pt"))
    moved = changed(moved, "run", num_workers=3, device="cpu", checkpoint_every=1)
    capsys.readouterr()
    assert_equal(weights(trainer.train(moved, finished, resume=True)), whole)
    printed = " ".join(capsys.readouterr().err.split())
    assert "resumed at step 6 with data.roots from" in printed
    for change in ("run.num_workers from 1 to 3", "run.device from auto to cpu", "optimizer.steps from 6 to 9"):
        assert change in printed


@pytest.mark.parametrize(
    ("section", "values", "complaint"),
    [
        (
            "optimizer",
            {"clip_norm": 1, "lr": 0.5},
            r"change optimizer\.clip_norm from 5\.0 to 1\.0; optimizer\.lr from",
        ),
        ("batch", {"people": 2}, r"change batch\.people from 3 to 2: restore that, or choose another output"),
        ("run", {"seed": 6}, r"change run\.seed from 5 to 6"),
        ("network", {"dropout": 0.1}, r"change network\.dropout from 0\.0 to 0\.1"),
        ("optimizer", {"steps": 5}, r"optimizer\.steps: expected at least the 6 steps of the checkpoint, got 5"),
    ],
)
def test_what_is_learned_may_not_change(
    constant: TrainConfig, finished: Path, section: str, values: dict[str, object], complaint: str
) -> None:
    before = (finished / "config.json").read_text()
    with pytest.raises(UnusableCheckpoint, match=complaint):
        trainer.train(changed(constant, section, **values), finished, resume=True)
    assert (finished / "config.json").read_text() == before


def test_a_path_may_change_but_not_the_content(constant: TrainConfig, finished: Path, tiny: Path) -> None:
    other = weights(tiny)
    other["last.weight"] += 1
    torch.save(other, tiny.with_name("other.pt"))
    with pytest.raises(UnusableCheckpoint, match=r"same content as when the run started in network\.weights"):
        trainer.train(changed(constant, "network", weights=str(tiny.with_name("other.pt"))), finished, resume=True)


def test_a_file_that_cannot_be_read_any_more_is_no_equal_content(
    constant: TrainConfig, finished: Path, tmp_path: Path
) -> None:
    gone = changed(constant, "network", weights=str(tmp_path / "gone.pt"))
    with pytest.raises(UnusableCheckpoint, match=r"same content as when the run started in network\.weights"):
        trainer.train(gone, finished, resume=True)


def test_images_may_not_change(write_crop: WriteCrop, constant: TrainConfig, people: Path, finished: Path) -> None:
    write_crop(people / "person0" / "new.png", seed=77)
    with pytest.raises(UnusableCheckpoint, match="training images have changed"):
        trainer.train(constant, finished, resume=True)


def test_held_out_images_may_not_change(write_crop: WriteCrop, config: TrainConfig, people: Path) -> None:
    for person in ("ann", "bob"):
        for face in range(2):
            write_crop(
                people.parent / "others" / person / f"{face}.png", seed=len(person) + ord(person[0]) + 500 * face
            )
    evaluated = changed(config, "evaluation", every=3, roots=[str(people.parent / "others")])
    run = people.parent / "run"
    trainer.train(evaluated, run, resume=False)
    write_crop(people.parent / "others" / "ann" / "new.png", seed=77)
    with pytest.raises(UnusableCheckpoint, match="held-out images have changed"):
        trainer.train(evaluated, run, resume=True)
