from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.unit.training.support import changed
from training.config.schema import LossConfig, TrainConfig
from training.engine import trainer
from training.engine.health_checks import AtChance, Collapsed, HealthChecks
from training.engine.logging import StepMetrics
from training.engine.train_step import Diverged

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


def test_batch_hard_mining_at_a_high_learning_rate_is_stopped(config: TrainConfig, tmp_path: Path) -> None:
    config = changed(changed(config, "loss", distillation_weight=0), "optimizer", steps=300, lr=0.1, name="adam")
    config = changed(changed(config, "network", name="small_resnet", weights=None, batch_norm="updated"), "run")
    with pytest.raises(Collapsed, match="collapsed: for 20 steps"):
        trainer.train(changed(config, "health_checks", patience=20), tmp_path / "run", resume=False)
