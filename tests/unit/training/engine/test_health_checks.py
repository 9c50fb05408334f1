import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.support.lengths import length
from tests.unit.training.support import WriteCrop, changed
from training.config.losses import LossConfig
from training.config.schema import TrainConfig
from training.data.crops import CropGeometry
from training.engine import trainer
from training.engine.health_checks import AtChance, Collapsed, HealthChecks
from training.engine.logging import StepMetrics
from training.engine.train_step import Diverged
from training.networks.embedder import FaceNetwork
from training.networks.registry import NETWORKS

WELL = StepMetrics(
    loss=0.3,
    objective=0.3,
    distillation=0,
    relations=0.0,
    mined=40,
    active_share=0.5,
    genuine_distance=0.8,
    impostor_distance=1.9,
    spread=0.9,
    grad_norm=1,
    lr=0.1,
    images_per_second=1,
)
FLAT = replace(WELL, objective=0.2, genuine_distance=0.001, impostor_distance=0.0011, spread=0.0005)


@pytest.fixture
def checks() -> HealthChecks:
    return HealthChecks(LossConfig(miner="batch-hard", distillation_weight=0), patience=5)


def test_a_run_that_goes_well_is_left_alone(checks: HealthChecks) -> None:
    assert [checks.check(step, WELL) for step in range(200)] == [None] * 200


def test_a_collapse_is_stopped_when_it_has_lasted(checks: HealthChecks) -> None:
    for step in range(4):
        checks.check(step, FLAT)
    with pytest.raises(Collapsed) as stop:
        checks.check(4, FLAT)
    assert str(stop.value) == (
        "collapsed: for 5 steps, at step 4, all faces have had almost the same vector (spread 0.0005 of 1, loss 0.200, "
        "margin 0.2): lower optimizer.lr, set loss.miner to 'semi-hard', and start again"
    )


def test_a_spread_that_grows_is_a_recovery(checks: HealthChecks) -> None:
    assert [checks.check(step, replace(FLAT, spread=1e-5 * 1.3**step)) for step in range(20)] == [None] * 20


def test_a_loss_stuck_at_its_margin_is_a_collapse_after_a_longer_time(checks: HealthChecks) -> None:
    valley = replace(WELL, objective=0.201, genuine_distance=0.02, impostor_distance=0.03, spread=0.01)
    for step in range(49):
        checks.check(step, valley)
    with pytest.raises(Collapsed, match="for 50 steps, at step 49"):
        checks.check(49, valley)


def test_a_loss_stuck_at_chance_is_stopped() -> None:
    contrastive = HealthChecks(
        LossConfig(kind="contrastive", miner="balanced-pairs", margin=1, distillation_weight=0), patience=5
    )
    knows_nothing = replace(WELL, objective=0.125, genuine_distance=0.51, impostor_distance=0.515)
    for step in range(19):
        contrastive.check(step, knows_nothing)
    with pytest.raises(
        AtChance, match=r"contrastive loss of 0\.125 is stuck at chance: .*check that each folder holds"
    ):
        contrastive.check(19, knows_nothing)


@pytest.mark.parametrize("symptom", [FLAT, replace(WELL, objective=0.125, impostor_distance=0.81)])
def test_a_siamese_network_that_learns_nothing_is_told_of_every_cause(symptom: StepMetrics) -> None:
    loss = LossConfig(kind="contrastive", miner="balanced-pairs", margin=1, distillation_weight=0)
    contrastive, told = HealthChecks(loss, patience=5), ""
    for step in range(20):
        try:
            contrastive.check(step, symptom)
        except (AtChance, Collapsed) as stop:
            told = str(stop)
    for advice in (
        "each folder holds one person",
        "optimizer.lr to 1e-5",
        "network.batch_norm to 'updated', so that every layer adapts",
        "not judge by accuracy at a distance of 0.5, but at a threshold",
    ):
        assert advice in told


def test_a_loss_that_has_doubled_beyond_chance_has_diverged(checks: HealthChecks) -> None:
    for step in range(5):
        checks.check(step, WELL)
    for step in range(5, 9):
        checks.check(step, replace(WELL, loss=2.5))
    checks.check(9, replace(WELL, loss=1.9))
    with pytest.raises(Diverged, match=r"last 5 steps is 2\.48 at step 10, that of the first ones was 0\.3: lower"):
        checks.check(10, replace(WELL, loss=3.0))


def test_no_active_triplet_for_long_is_warned_of_once(checks: HealthChecks) -> None:
    solved = [checks.check(step, replace(WELL, active_share=0.0)) for step in range(20)]
    assert [step for step, warning in enumerate(solved) if warning] == [4]
    assert "nothing is learned: choose loss.miner 'batch-hard', more batch.people" in str(solved[4])


def test_a_patience_of_0_disables_the_checks() -> None:
    blind = HealthChecks(LossConfig(miner="batch-hard", distillation_weight=0), patience=0)
    assert [blind.check(step, replace(FLAT, active_share=0)) for step in range(500)] == [None] * 500


def test_symptoms_continue_after_a_resume(checks: HealthChecks) -> None:
    for step in range(4):
        checks.check(step, FLAT)
    resumed = HealthChecks(checks.loss, 5)
    resumed.load_state_dict(checks.state_dict())
    with pytest.raises(Collapsed):
        resumed.check(4, FLAT)


def test_a_network_whose_vectors_have_become_equal_is_stopped(config: TrainConfig, tiny: Path, tmp_path: Path) -> None:
    dead = torch.load(tiny, weights_only=True)
    dead["last.weight"] *= 1e-6
    torch.save(dead, tiny)
    config = changed(changed(config, "loss", distillation_weight=0), "optimizer", steps=60, lr=1e-9)
    with pytest.raises(Collapsed, match=r"for 20 steps, at step .., all faces .*lower optimizer\.lr"):
        trainer.train(changed(config, "health_checks", patience=20), tmp_path / "run", resume=False)


@pytest.mark.slow
def test_batch_hard_mining_at_a_high_learning_rate_is_stopped(config: TrainConfig, tmp_path: Path) -> None:
    config = changed(changed(config, "loss", distillation_weight=0), "optimizer", steps=300, lr=0.1, name="adam")
    config = changed(changed(config, "network", name="small_resnet", weights=None, batch_norm="updated"), "run")
    with pytest.raises(Collapsed, match="collapsed: for 20 steps"):
        trainer.train(changed(config, "health_checks", patience=20), tmp_path / "run", resume=False)


def shuffled(folder: Path, write_crop: WriteCrop, size: int = 144) -> Path:
    """Sixty folders of 24 faces that have nothing in common."""
    for person in range(60):
        for face in range(24):
            write_crop(folder / f"person{person}" / f"{face}.png", seed=100 * person + face, size=size)
    return folder


def noisy(config: TrainConfig, people: Path, **loss: object) -> TrainConfig:
    """Three hundred steps of the tiny network, whose gap between the two kinds of pairs varies by 10 % by chance."""
    config = changed(config, "loss", distillation_weight=0, **loss)
    config = changed(changed(config, "network", weights=None, batch_norm="updated"), "data", roots=[str(people)])
    config = changed(changed(config, "batch", people=16, faces=2), "run", checkpoint_every=1000)
    return changed(config, "optimizer", steps=300, lr=0.01, schedule="constant", warmup_steps=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "advice"),
    [
        ({"kind": "contrastive", "miner": "balanced-pairs", "margin": 1}, "not judge by accuracy at a distance of 0.5"),
        ({"kind": "triplet", "miner": "semi-hard"}, "begin with pretraining.steps"),
    ],
)
def test_shuffled_labels_are_stopped_at_chance_despite_the_noise(
    config: TrainConfig, write_crop: WriteCrop, tmp_path: Path, loss: dict[str, object], advice: str
) -> None:
    people = shuffled(tmp_path / "shuffled", write_crop)
    with pytest.raises(AtChance, match="check that each folder holds one person, then lower") as stop:
        trainer.train(noisy(config, people, **loss), tmp_path / "run", resume=False)
    assert advice in str(stop.value)


@pytest.mark.slow
def test_a_noisy_run_that_learns_is_left_alone(config: TrainConfig, tmp_path: Path) -> None:
    for person in range(60):
        folder = tmp_path / "alike" / f"person{person}"
        folder.mkdir(parents=True)
        face = np.random.default_rng(person).integers(0, 256, (6, 6, 3))
        for number in range(4):
            noise = np.random.default_rng(1000 + 10 * person + number).normal(0, 90, face.shape)
            coarse = (face + noise).clip(0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / f"{number}.png"), cv2.resize(coarse, (144, 144), interpolation=cv2.INTER_CUBIC))
    config = changed(noisy(config, tmp_path / "alike", miner="semi-hard"), "optimizer", name="adam", lr=0.001)
    trainer.train(config, tmp_path / "run", resume=False)


class NarrowNetwork(FaceNetwork):
    """Linear layers of 64, 3 and 3 units on a coarse image, without BatchNorm: a layer of them may die."""

    crop_size = 56

    def __init__(self, embedding_size: int) -> None:
        super().__init__(embedding_size)
        hidden = [part for pair in pairwise((3 * 14 * 14, 64, 3, 3)) for part in (nn.Linear(*pair), nn.ReLU())]
        self.layers = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), *hidden, nn.Linear(3, embedding_size))

    def forward(self, pixels: Tensor) -> Tensor:
        vectors: Tensor = self.layers(pixels)
        return vectors


def photos(folder: Path) -> Path:
    """Sixty people with four faces each: a pattern of their own, in light of many colors and under noise."""
    for person in range(60):
        (folder / f"person{person}").mkdir(parents=True)
        pattern = np.random.default_rng(person).integers(-128, 128, (6, 6, 3))
        for number in range(4):
            random = np.random.default_rng(1000 + 100 * person + number)
            light = 128 - pattern.mean((0, 1)) + random.normal(0, 60, 3)
            face = (pattern + light + random.normal(0, 60, pattern.shape)).clip(0, 255).astype(np.uint8)
            crop = cv2.resize(face, (72, 72), interpolation=cv2.INTER_CUBIC)  # 56 px and their margin
            cv2.imwrite(str(folder / f"person{person}" / f"{number}.png"), crop)
    return folder


@pytest.mark.slow
def test_a_rate_too_high_for_trained_weights_is_diagnosed_though_all_labels_are_right(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(NETWORKS, "narrow", NarrowNetwork)
    config = noisy(config, photos(tmp_path / "photos"), kind="contrastive", miner="balanced-pairs", margin=1)
    config = changed(changed(config, "network", name="narrow", embedding_size=16), "batch", people=8)

    def train(name: str, lr: float, weights: Path | None, seed: int = 5) -> Path:
        run = changed(changed(config, "optimizer", name="adam", lr=lr), "run", seed=seed)
        return trainer.train(changed(run, "network", weights=weights and str(weights)), tmp_path / name, resume=False)

    def train_too_fast() -> None:
        for seed in range(5, 10):  # about one in three learns again; which ones depends on the processor's rounding
            train(f"too high {seed}", 1.0, start, seed)

    start = train("start", 1e-3, None)
    config = changed(config, "health_checks", patience=20)  # a window of 80 steps: later it may learn again
    kept = json.loads((train("right", 1e-5, start).parent / "run.json").read_text())["final_metrics"]
    assert kept["genuine_distance"] < 0.6 * kept["impostor_distance"]
    with pytest.raises((AtChance, Collapsed)) as stop:
        train_too_fast()
    for advice in ("lower optimizer.lr", "optimizer.lr to 1e-5", "network.batch_norm to 'updated'", "at a threshold"):
        assert advice in str(stop.value)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_siamese_network_that_stays_at_one_half_is_diagnosed(
    config: TrainConfig, write_crop: WriteCrop, tmp_path: Path
) -> None:
    """InceptionV3 (at 224 px in `make proof`), contrastive loss with margin 1, Adam at a rate too high for it."""
    side = length(96, 224)
    people = shuffled(tmp_path / "pairs", write_crop, size=CropGeometry(side).side)
    config = noisy(config, people, kind="contrastive", miner="balanced-pairs", margin=1)
    config = changed(config, "network", name=f"timm:inception_v3@{side}")
    config = changed(changed(config, "batch", people=4, faces=2), "optimizer", name="adam", lr=0.01)
    with pytest.raises((AtChance, Collapsed), match=r"for transfer learning set optimizer\.name to 'adam' and") as stop:
        trainer.train(changed(config, "health_checks", patience=10), tmp_path / "run", resume=False)
    assert "accuracy at a distance of 0.5" in str(stop.value)
