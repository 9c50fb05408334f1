"""Read a training config from a TOML file."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from training.config.schema import AugmentationConfig, LossConfig, OptimizerConfig, TrainConfig
from training.errors import TrainingError

__all__ = ["AugmentationConfig", "LossConfig", "OptimizerConfig", "TrainConfig", "UnusableConfig", "load"]


class UnusableConfig(TrainingError):
    """The message names the file and the key."""


def load(path: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """
    Return the config of a TOML file; an override is a line of TOML, such as `optimizer.steps = 10`.

    Paths are relative to the working directory. Raises UnusableConfig, which names the file and the key.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        for line in overrides:
            _merge(values, tomllib.loads(line))
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        raise UnusableConfig(f"{path}: " + "; ".join(_complaint(dict(one)) for one in error.errors())) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UnusableConfig(f"{path}: {error}") from error


def _merge(values: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, change in changes.items():
        if isinstance(change, dict) and isinstance(values.get(key), dict):
            _merge(values[key], change)
        else:
            values[key] = change


def _complaint(error: dict[str, Any]) -> str:
    key = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"{key} is not an option"
    got = "" if isinstance(error["input"], dict) else f", got {error['input']!r}"
    return ": ".join(filter(None, [key, error["msg"].removeprefix("Value error, ")])) + got
