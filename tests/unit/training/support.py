"""Helpers of several tests of training."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from training.config.schema import TrainConfig

WriteCrop = Callable[..., Path]
"""The fixture `write_crop`: (path, seed=, size=) to the path."""
RUN_RECORD = {
    "config": {"network": {"weights": "start.pt"}},
    "config_sha256": "c0ffee",
    "seed": 5,
    "commit": "abc",
    "torch": "2",
    "threads": 2,
    "seconds": 3,
    "data": {"files_sha256": "da", "by_root": {"crews": {"people": 2, "faces": 6}}},
}
"""A small run.json, whose facts a model card tells."""


def weights(path: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = torch.load(path, weights_only=True)
    return state


def changed(config: TrainConfig, section: str, **values: object) -> TrainConfig:
    whole = config.model_dump(mode="json")
    whole[section] |= values
    return TrainConfig.model_validate(whole)
