"""Every preset that is shipped trains: a few steps on a few faces, with its own network and weights."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.training.support import WriteCrop, changed, weights
from training.config import loading
from training.config.schema import TrainConfig
from training.data.crops import CropGeometry
from training.engine import trainer
from training.engine.build_learner import starting_network
from training.networks.registry import crop_size_of

PRESETS = Path(loading.__file__).parent / "presets"
ROOT = Path(__file__).resolve().parents[4]
SHIPPED = ROOT / "models" / "mobilefacenet-128" / "network.pt"
STEPS = 2
BACKBONES = ["edgeface_xxs", "edgeface_xs", "ir_se50", "pocketnet_s", "vit_tiny"]  # ir18 is the recipe's


def smaller(config: TrainConfig, people: Path) -> TrainConfig:
    """Return the preset with few faces and steps; published weights, which may be missing, become the shipped ones."""
    weights = config.network.weights and str(SHIPPED)
    teacher = config.teacher.weights and str(ROOT / config.teacher.weights)
    config = changed(config, "data", roots=[str(people)])
    config = changed(changed(config, "network", weights=weights), "teacher", weights=teacher)
    config = changed(config, "run", threads=1, checkpoint_every=50)
    config = changed(config, "batch", people=3, faces=2)
    in_epochs = {"epochs": 1, "epoch_size": STEPS} if config.optimizer.epochs else {}
    config = changed(config, "optimizer", steps=STEPS, warmup_steps=0, **in_epochs)
    if config.offline_mining.every:
        config = changed(config, "offline_mining", every=STEPS, people=4, faces=3)
    without_pairs: dict[str, Any] = {"pairs": None, "photos": None, "every": 0}
    if not (config.evaluation.held_out or config.evaluation.roots):
        return changed(config, "evaluation", **without_pairs)
    return changed(config, "evaluation", every=STEPS, held_out=0.34)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.stem for path in PRESETS.glob("*.toml")))
def test_a_preset_trains(write_crop: WriteCrop, tmp_path: Path, name: str) -> None:
    preset = loading.load(PRESETS / f"{name}.toml")
    side = CropGeometry(crop_size_of(preset.network.name)).side
    for person in range(6):
        for face in range(3):
            write_crop(tmp_path / "people" / f"person{person}" / f"{face}.png", seed=10 * person + face, size=side)
    config = smaller(preset, tmp_path / "people")

    trained = weights(trainer.train(config, tmp_path / "run", resume=False))

    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["final_metrics"]["loss"] >= 0
    assert record["config"]["network"]["name"] == preset.network.name
    start = starting_network(config).state_dict()
    assert any(not torch.equal(part, start[key]) for key, part in trained.items())


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_trains_by_the_recipe_for_112_px(write_crop: WriteCrop, tmp_path: Path, name: str) -> None:
    for person in range(6):
        for face in range(3):
            write_crop(tmp_path / "people" / f"person{person}" / f"{face}.png", seed=10 * person + face)
    recipe = loading.load(PRESETS / "adaface-112.toml", [f'network.name="{name}"', "network.embedding_size=128"])
    config = smaller(changed(recipe, "optimizer", lr=0.01), tmp_path / "people")

    trained = weights(trainer.train(config, tmp_path / "run", resume=False))

    start = starting_network(config).state_dict()
    moved = [key for key, part in start.items() if part.is_floating_point() and not torch.equal(part, trained[key])]
    assert len(moved) > 0.9 * sum(part.is_floating_point() for part in start.values())
