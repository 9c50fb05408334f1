"""Helpers of several tests of training."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from training.config.schema import TrainConfig

WriteCrop = Callable[..., Path]
"""The fixture `write_crop`: (path, seed=, size=) to the path."""


def weights(path: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = torch.load(path, weights_only=True)
    return state


def changed(config: TrainConfig, section: str, **values: object) -> TrainConfig:
    whole = config.model_dump(mode="json")
    whole[section] |= values
    return TrainConfig.model_validate(whole)
