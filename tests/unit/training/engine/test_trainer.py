import errno
import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.unit.training.support import WriteCrop, changed, weights
from training.config.schema import TrainConfig
from training.data.dataset import UnusableImage, read_crop, read_faces
from training.data.loader import Batch
from training.data.samplers import TooFewFaces
from training.engine import checkpoints, trainer
from training.engine.checkpoints import NotSaved, UnusableCheckpoint
from training.engine.logging import RunLogger, StepMetrics
from training.engine.train_step import Diverged, Learner
from training.engine.trainer import Interrupted
from training.losses.softmax_registry import SOFTMAX_LOSSES, build_softmax
from training.networks.registry import build


def ctrl_c_after(step: int) -> Callable[[Learner, Batch, float], StepMetrics]:
    original = Learner.train_step

    def train_step(self: Learner, batch: Batch, lr: float) -> StepMetrics:
        metrics = original(self, batch, lr)
        if self.step == step:
            signal.raise_signal(signal.SIGINT)
        return metrics

    return train_step


def everything(config: TrainConfig) -> TrainConfig:
    """Turn on everything that has a state, and everything that is random."""
    config = changed(changed(config, "pretraining", steps=2), "offline_mining", every=3, people=4, faces=3)
    config = changed(changed(config, "optimizer", name="adam", ema_decay=0.8, steps=8), "loss", miner="violating")
    config = changed(changed(config, "network", batch_norm="updated", dropout=0.3), "batch", chunk_size=2)
    config = changed(changed(config, "run", precision="bfloat16", num_workers=2), "evaluation", every=3, held_out=0.34)
    return changed(config, "augmentation", shift=4, saturation=0.5, tint=0.2, edge_share=0.3)


def distillation(config: TrainConfig) -> TrainConfig:
    """Learn the rotated vectors of another network, of faces of people who may be unknown."""
    assert config.network.weights
    teacher = config.network.weights.with_name("other.pt")
    torch.manual_seed(9)
    torch.save(build("tiny", 8).state_dict(), teacher)
    config = changed(config, "teacher", weights=str(teacher), rotated=True, start_share=0.25)
    config = changed(config, "loss", kind="distillation", miner="none", relational_weight=5)
    return changed(config, "batch", people=9)


def facenet(config: TrainConfig) -> TrainConfig:
    """Train as davidsandberg/facenet: pools whose triplets are used once, people added, images scaled one by one."""
    config = changed(config, "offline_mining", every=50, people=4, faces=3, used_once=True)
    config = changed(changed(config, "batch", fill="people"), "loss", miner="violating", distillation_weight=0)
    config = changed(config, "network", per_image_scaling=True, batch_norm="updated")
    config = changed(config, "run", keep_checkpoints=3)
    staircase = {"schedule": "staircase", "decay": 0.5, "decay_epochs": 2, "epoch_size": 2}
    return changed(config, "optimizer", name="adagrad", ema_decay=0.9, steps=16, **staircase)


VARIANTS: dict[str, Callable[[TrainConfig], TrainConfig]] = {
    "frozen": lambda config: config,
    "everything": everything,
    "distillation": distillation,
    "facenet": facenet,
}


@pytest.mark.parametrize(
    "variant", [pytest.param(name, marks=[pytest.mark.slow] if name != "frozen" else []) for name in VARIANTS]
)
def test_a_resumed_run_ends_with_exactly_the_weights_of_an_uninterrupted_one(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: str
) -> None:
    config, whole = VARIANTS[variant](config), tmp_path / "whole"
    trainer.train(config, whole, resume=False)
    for stop in (1, 4):
        parts = tmp_path / f"stopped after {stop}"
        with monkeypatch.context() as patched:
            patched.setattr(Learner, "train_step", ctrl_c_after(stop))
            with pytest.raises(Interrupted, match=rf"after step {stop}; saved in .*{parts.name}, go on with --resume"):
                trainer.train(config, parts, resume=False)
        trainer.train(config, parts, resume=True)
        assert_equal(*(checkpoints.load(run) for run in (whole, parts)))
        assert_equal(*(weights(run / "network.pt") for run in (whole, parts)))


def assert_equal(one: object, other: object) -> None:
    """Compare checkpoints bit by bit, except for the seconds."""
    if isinstance(one, dict) and isinstance(other, dict):
        assert one.keys() == other.keys()
        for name in one.keys() - {"seconds"}:
            assert_equal(one[name], other[name])
    elif isinstance(one, Tensor) and isinstance(other, Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


def test_training_moves_the_weights_and_frozen_statistics_stay(config: TrainConfig, tiny: Path, tmp_path: Path) -> None:
    before, after = weights(tiny), weights(trainer.train(config, tmp_path / "run", resume=False))
    assert not torch.equal(before["last.weight"], after["last.weight"])
    assert not torch.equal(before["bn.weight"], after["bn.weight"])
    assert torch.equal(before["bn.running_mean"], after["bn.running_mean"])


FIRST_LOSSES = {
    "frozen": [1.99754381, 1.20393586, 0.80439812, 0.62360048, 0.76640606, 0.63409036],
    "updated": [2.11610389, 1.83107352, 1.20031738, 0.79418212, 1.03957069, 0.64766717],
}
"""Losses of the first version of the training loop, which had only triplets, distillation and SGD."""


@pytest.mark.parametrize("batch_norm", FIRST_LOSSES)
def test_a_seed_gives_the_losses_of_the_first_version(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_norm: str
) -> None:
    seen: list[float] = []
    original = RunLogger.log_step
    monkeypatch.setattr(RunLogger, "log_step", lambda *args: seen.append(args[2].loss) or original(*args))  # type: ignore[func-returns-value]
    trainer.train(changed(config, "network", batch_norm=batch_norm), tmp_path / "run", resume=False)
    assert seen == pytest.approx(FIRST_LOSSES[batch_norm], rel=1e-4)


@pytest.mark.slow
def test_strong_distillation_keeps_the_embedding_near_the_teacher(config: TrainConfig, tmp_path: Path) -> None:
    def final_objective(weight: float) -> float:
        strong = changed(changed(config, "loss", distillation_weight=weight), "optimizer", steps=30, lr=0.05)
        output = tmp_path / f"weight{weight}"
        trainer.train(changed(strong, "augmentation", share=0), output, resume=False)
        return float(json.loads((output / "run.json").read_text())["final_metrics"]["objective"])

    assert final_objective(0) < final_objective(20)


def test_run_json_has_config_and_data(write_crop: WriteCrop, config: TrainConfig, people: Path, tmp_path: Path) -> None:
    write_crop(people / "lonely" / "1.png", seed=1)
    trainer.train(config, tmp_path / "run", resume=False)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["config_sha256"] == config.digest
    assert record["seed"] == 5
    assert record["data"]["by_root"] == {"people": {"people": 6, "faces": 18}}
    assert record["data"]["skipped"] == [{"path": str(people / "lonely"), "reason": "expected 2 usable crops, got 1"}]
    assert record["torch"] == torch.__version__
    assert TrainConfig.model_validate(json.loads((tmp_path / "run" / "config.json").read_text())) == config
    assert list((tmp_path / "run" / "tensorboard").iterdir())


@pytest.fixture
def finished(config: TrainConfig, tmp_path: Path) -> Path:
    trainer.train(config, tmp_path / "run", resume=False)
    return tmp_path / "run"


def test_a_finished_run_is_neither_repeated_nor_overwritten(config: TrainConfig, finished: Path) -> None:
    before = (finished / "run.json").read_text()
    assert trainer.train(config, finished, resume=True) == finished / "network.pt"
    with pytest.raises(UnusableCheckpoint, match="already holds a run"):
        trainer.train(config, finished, resume=False)
    assert (finished / "run.json").read_text() == before


def test_a_loss_that_is_not_finite_stops_the_run(config: TrainConfig, tiny: Path, tmp_path: Path) -> None:
    broken = weights(tiny)
    broken["last.bias"][:] = torch.nan
    torch.save(broken, tiny)
    with pytest.raises(Diverged, match=r"the loss is nan at step 0: lower optimizer\.lr"):
        trainer.train(config, tmp_path / "run", resume=False)
    assert not checkpoints.exists(tmp_path / "run")


def test_an_infinite_gradient_stops_a_run(config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.engine.train_step.clip_grad_norm_", lambda *_: torch.tensor(torch.inf))
    with pytest.raises(Diverged, match=r"the gradient is inf at step 0: lower optimizer\.lr"):
        trainer.train(config, tmp_path / "run", resume=False)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["triplet", "contrastive", "arcface"])
def test_every_loss_brings_the_faces_of_a_person_together(config: TrainConfig, tmp_path: Path, kind: str) -> None:
    loss = {"miner": "balanced-pairs", "kind": "contrastive", "margin": 1} if kind == "contrastive" else {}
    config = changed(changed(config, "loss", distillation_weight=0, **loss), "batch", people=6, faces=3)
    config = changed(changed(config, "augmentation", share=0), "optimizer", name="adam", steps=60, warmup_steps=0)
    config = changed(config, "pretraining", steps=60 if kind == "arcface" else 0)
    trainer.train(config, tmp_path / "run", resume=False)
    last = json.loads((tmp_path / "run" / "run.json").read_text())["final_metrics"]
    assert last["genuine_distance"] < 0.7 * last["impostor_distance"]


@pytest.mark.parametrize(
    ("kind", "miner"), [("multi-similarity", "multi-similarity"), ("circle", "all-pairs"), ("n-pair", "n-pairs")]
)
def test_two_steps_with_a_loss_of_pairs_move_the_weights(
    config: TrainConfig, tiny: Path, tmp_path: Path, kind: str, miner: str
) -> None:
    config = changed(changed(config, "optimizer", steps=2), "loss", kind=kind, miner=miner, distillation_weight=0)
    after = weights(trainer.train(config, tmp_path / "run", resume=False))
    assert not torch.equal(weights(tiny)["last.weight"], after["last.weight"])


@pytest.mark.parametrize(("name", "first_steps"), [*((name, 0) for name in SOFTMAX_LOSSES), ("arcface", 2)])
def test_a_run_with_a_softmax_trains_and_resumes_exactly(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, first_steps: int
) -> None:
    config = changed(changed(config, "optimizer", steps=3), "softmax", loss=name)
    whole_run = {} if first_steps else {"kind": "softmax", "miner": "none"}
    config = changed(changed(config, "loss", **whole_run), "pretraining", steps=first_steps)
    trainer.train(config, tmp_path / "whole", resume=False)
    with monkeypatch.context() as patched:
        patched.setattr(Learner, "train_step", ctrl_c_after(1))
        with pytest.raises(Interrupted):
            trainer.train(config, tmp_path / "parts", resume=False)
    trainer.train(config, tmp_path / "parts", resume=True)

    whole, parts = (checkpoints.load(tmp_path / run) for run in ("whole", "parts"))
    assert_equal(whole, parts)
    assert whole
    centers = build_softmax(name, 6, 8, config.softmax).centers
    assert whole["learner"]["softmax"]["centers"].shape == centers.shape
    assert weights(tmp_path / "whole" / "network.pt").keys() == build("tiny", 8).state_dict().keys()


@pytest.mark.slow
def test_distillation_brings_the_vectors_to_the_targets(
    config: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = changed(changed(distillation(config), "optimizer", name="adam", steps=60), "augmentation", share=0)
    trainer.train(changed(config, "health_checks", patience=10), tmp_path / "run", resume=False)
    last = json.loads((tmp_path / "run" / "run.json").read_text())["final_metrics"]
    output = "".join(capsys.readouterr())
    assert last["distillation"] < 0.05
    assert last["relations"] < 0.05
    assert "cosine to the teacher 0.9" in output
    assert "warning" not in output


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_keeps_the_checkpoint(config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Learner.train_step

    def train_step(self: Learner, batch: Batch, lr: float) -> StepMetrics:
        if self.step == 3:
            patched.setattr(os, "fsync", full)
        return original(self, batch, lr)

    with monkeypatch.context() as patched:
        patched.setattr(Learner, "train_step", train_step)
        with pytest.raises(NotSaved, match=r"cannot write the .* MB of .*: No space left on device; make room, then"):
            trainer.train(config, tmp_path / "run", resume=False)

    assert checkpoints.load(tmp_path / "run")["learner"]["step"] == 2


def test_a_full_disk_is_always_reported(config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunLogger, "log_step", full)
    with pytest.raises(NotSaved, match=r"cannot write in .*run: No space left on device; make room"):
        trainer.train(config, tmp_path / "run", resume=False)


def test_an_image_that_disappears_during_training_is_named(people: Path) -> None:
    faces = read_faces([people])
    Path(str(faces.paths[3])).unlink()
    with pytest.raises(UnusableImage, match=r"person1/0\.png cannot be read any more: No such file"):
        read_crop(faces.paths[3])


def test_problems_are_reported_at_start(
    config: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = changed(changed(config, "batch", faces=4), "optimizer", steps=1)
    config = changed(changed(config, "loss", distillation_weight=0), "network", weights=None)
    trainer.train(config, tmp_path / "run", resume=False)
    output = " ".join(capsys.readouterr().err.split())
    assert "warning: 6 of 6 people have fewer than 4 faces, so batches repeat them: lower batch.faces" in output
    assert "warning: BatchNorm statistics of fresh weights are frozen: set network.batch_norm to 'updated'" in output


def test_a_batch_that_is_filled_with_people_repeats_no_face(
    config: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = changed(changed(config, "batch", faces=4, fill="people"), "optimizer", steps=1)
    trainer.train(config, tmp_path / "run", resume=False)
    assert "repeat them" not in capsys.readouterr().err
    with pytest.raises(TooFewFaces, match="expected at least 20 faces for a batch, at most 4 of each person, got 18"):
        trainer.train(changed(config, "batch", people=5), tmp_path / "other", resume=False)


def test_a_run_in_another_thread_leaves_ctrl_c_alone(config: TrainConfig, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with ThreadPoolExecutor(1) as executor:
        written = executor.submit(trainer.train, changed(config, "optimizer", steps=2), tmp_path / "run", resume=False)
        assert weights(written.result())
    assert signal.getsignal(signal.SIGINT) is before
