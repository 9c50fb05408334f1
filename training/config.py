"""One TOML file says all of a training run; its sections are in `options`."""

import hashlib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError, model_validator

from training.errors import TrainingError
from training.options import (
    AugmentationConfig,
    BatchConfig,
    DataConfig,
    EvaluationConfig,
    LossConfig,
    NetworkConfig,
    OfflineConfig,
    OptimiserConfig,
    PretrainingConfig,
    RunConfig,
    Section,
    TeacherConfig,
    WatchConfig,
)

__all__ = ["AugmentationConfig", "LossConfig", "OptimiserConfig", "TrainConfig", "UnusableConfig", "load"]


class UnusableConfig(TrainingError):
    """The message names the file and the key."""


class TrainConfig(Section):
    run: RunConfig = RunConfig()
    data: DataConfig
    network: NetworkConfig = NetworkConfig()
    teacher: TeacherConfig = TeacherConfig()
    batch: BatchConfig = BatchConfig()
    offline: OfflineConfig = OfflineConfig()
    pretraining: PretrainingConfig = PretrainingConfig()
    loss: LossConfig
    optimiser: OptimiserConfig = OptimiserConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    watch: WatchConfig = WatchConfig()
    augmentation: AugmentationConfig = AugmentationConfig()

    @model_validator(mode="after")
    def _a_teacher_where_one_is_needed(self) -> Self:
        if self.loss.anchoring and self.network.weights is None and self.teacher.weights is None:
            raise ValueError("loss.anchoring: the teacher is the network of network.weights; give it, or set 0")
        return self

    @model_validator(mode="after")
    def _triplets_where_they_are_mined_offline(self) -> Self:
        if self.offline.every and self.loss.kind != "triplet":
            raise ValueError("offline.every: only triplets are mined offline; set 0")
        return self

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def load(path: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """
    The config of a TOML file; an override is a line of TOML, such as `optimiser.steps = 10`. Paths are relative to
    the working directory. UnusableConfig names the file and the key.
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
        return f"{key} is no option"
    got = "" if isinstance(error["input"], dict) else f", got {error['input']!r}"
    return ": ".join(filter(None, [key, error["msg"].removeprefix("Value error, ")])) + got
