import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from training import checkpoints, train
from training.batches import Batch
from training.checkpoints import UnusableCheckpoint
from training.config import TrainConfig
from training.journal import Measures
from training.learner import Diverged, Learner
from training.train import Interrupted

WriteCrop = Callable[..., Path]


def weights(path: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = torch.load(path, weights_only=True)
    return state


def changed(config: TrainConfig, section: str, **values: object) -> TrainConfig:
    whole = config.model_dump(mode="json")
    whole[section] |= values
    return TrainConfig.model_validate(whole)


def ctrl_c_after(step: int) -> Callable[[Learner, Batch, float], Measures]:
    original = Learner.learn

    def learn(self: Learner, batch: Batch, rate: float) -> Measures:
        measures = original(self, batch, rate)
        if self.step == step:
            signal.raise_signal(signal.SIGINT)
        return measures

    return learn


@pytest.mark.parametrize("batch_norm", ["frozen", "updated"])
@pytest.mark.parametrize("stop", [1, 4])
def test_a_resumed_run_ends_with_the_very_weights_of_an_uninterrupted_one(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_norm: str, stop: int
) -> None:
    config = changed(config, "network", batch_norm=batch_norm)
    whole = weights(train.run(config, tmp_path / "whole", resume=False))

    with monkeypatch.context() as patched:
        patched.setattr(Learner, "learn", ctrl_c_after(stop))
        with pytest.raises(Interrupted, match=rf"stopped after step {stop}; saved in .*parts, go on with --resume"):
            train.run(config, tmp_path / "parts", resume=False)
    resumed = weights(train.run(config, tmp_path / "parts", resume=True))

    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_training_moves_the_weights_and_frozen_statistics_stay(config: TrainConfig, tiny: Path, tmp_path: Path) -> None:
    before, after = weights(tiny), weights(train.run(config, tmp_path / "run", resume=False))

    assert not torch.equal(before["last.weight"], after["last.weight"])
    assert not torch.equal(before["bn.weight"], after["bn.weight"])
    assert torch.equal(before["bn.running_mean"], after["bn.running_mean"])


def test_the_loss_falls_on_people_that_can_be_told_apart(config: TrainConfig, tmp_path: Path) -> None:
    config = changed(changed(config, "loss", anchoring=0, miner="semi-hard"), "optimiser", steps=60, learning_rate=0.05)
    config = changed(config, "augmentation", share=0)
    train.run(changed(config, "optimiser", steps=1), tmp_path / "short", resume=False)
    train.run(config, tmp_path / "long", resume=False)

    first, last = (json.loads((tmp_path / run / "run.json").read_text())["final_metrics"] for run in ("short", "long"))
    assert last["negative"] - last["positive"] > first["negative"] - first["positive"]


def test_a_strong_anchor_keeps_the_embedding_near_the_teacher(config: TrainConfig, tmp_path: Path) -> None:
    def moved(anchoring: float) -> float:
        strong = changed(changed(config, "loss", anchoring=anchoring), "optimiser", steps=30, learning_rate=0.05)
        output = tmp_path / f"anchor{anchoring}"
        train.run(changed(strong, "augmentation", share=0), output, resume=False)
        return float(json.loads((output / "run.json").read_text())["final_metrics"]["objective"])

    assert moved(0) < moved(20)


def test_run_json_says_how_the_weights_came_about(
    write_crop: WriteCrop, config: TrainConfig, people: Path, tmp_path: Path
) -> None:
    write_crop(people / "lonely" / "1.png", seed=1)
    train.run(config, tmp_path / "run", resume=False)
    facts = json.loads((tmp_path / "run" / "run.json").read_text())

    assert facts["config_sha256"] == config.digest
    assert facts["seed"] == 5
    assert facts["data"]["by_root"] == {"people": {"people": 6, "faces": 18}}
    assert facts["data"]["skipped"] == [{"path": str(people / "lonely"), "reason": "1 usable crops, want 2"}]
    assert facts["torch"] == torch.__version__
    assert TrainConfig.model_validate(json.loads((tmp_path / "run" / "config.json").read_text())) == config
    assert list((tmp_path / "run" / "tensorboard").iterdir())


def test_a_run_is_never_overwritten_unasked(config: TrainConfig, tmp_path: Path) -> None:
    train.run(config, tmp_path / "run", resume=False)

    with pytest.raises(UnusableCheckpoint, match="already holds a run"):
        train.run(config, tmp_path / "run", resume=False)


def test_a_finished_run_is_left_as_it_is(config: TrainConfig, tmp_path: Path) -> None:
    train.run(config, tmp_path / "run", resume=False)
    before = (tmp_path / "run" / "run.json").read_text()

    assert train.run(config, tmp_path / "run", resume=True) == tmp_path / "run" / "network.pt"
    assert (tmp_path / "run" / "run.json").read_text() == before


def test_a_checkpoint_of_another_config_is_refused(config: TrainConfig, tmp_path: Path) -> None:
    train.run(config, tmp_path / "run", resume=False)

    with pytest.raises(UnusableCheckpoint, match="another config"):
        train.run(changed(config, "optimiser", clip=1), tmp_path / "run", resume=True)


def test_a_checkpoint_of_other_images_is_refused(
    write_crop: WriteCrop, config: TrainConfig, people: Path, tmp_path: Path
) -> None:
    train.run(config, tmp_path / "run", resume=False)
    write_crop(people / "person0" / "new.png", seed=77)

    with pytest.raises(UnusableCheckpoint, match="images have changed"):
        train.run(config, tmp_path / "run", resume=True)


def test_a_loss_that_is_no_number_stops_the_run_and_says_what_to_do(
    config: TrainConfig, tiny: Path, tmp_path: Path
) -> None:
    broken = weights(tiny)
    broken["last.bias"][:] = torch.nan
    torch.save(broken, tiny)

    with pytest.raises(Diverged, match=r"the loss is nan at step 0: lower optimiser\.learning_rate"):
        train.run(config, tmp_path / "run", resume=False)
    assert not checkpoints.exists(tmp_path / "run")
