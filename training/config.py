"""One TOML file says all of a training run. Every option is declared here, with its meaning and its bounds."""

import hashlib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from training.errors import TrainingError

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class UnusableConfig(TrainingError):
    """The message names the file and the key."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RunConfig(Section):
    seed: int = Field(default=1, ge=0, description="Of sampling, augmentation and fresh weights.")
    threads: int = Field(default=2, ge=1, description="Of PyTorch. Another number may change the last bits.")
    checkpoint_every: int = Field(default=50, ge=1, description="Steps between two checkpoints.")


class DataConfig(Section):
    roots: tuple[Path, ...] = Field(min_length=1, description="Each a folder with a folder a person.")
    minimum_faces: int = Field(default=2, ge=1, description="People with fewer usable crops are left out.")


class NetworkConfig(Section):
    name: str = Field(default="mobilefacenet", description="A name in training.networks.")
    embedding_size: int = Field(default=128, ge=2, description="Numbers in a vector.")
    weights: Path | None = Field(default=None, description="Starting weights, and the teacher. None is from scratch.")
    batch_norm: Literal["frozen", "updated"] = Field(
        default="frozen", description="Whether the statistics of BatchNorm stay those of the starting weights."
    )


class BatchConfig(Section):
    people: int = Field(default=32, ge=2, description="P of a P x K batch.")
    faces: int = Field(default=4, ge=2, description="K of a P x K batch.")


class LossConfig(Section):
    miner: Literal["semi-hard", "batch-hard"] = Field(description="Which triplets of a batch are trained on.")
    margin: float = Field(default=0.2, gt=0, lt=4, description="Alpha of FaceNet's eq. 3, in squared L2.")
    reducer: Literal["mean", "mean-of-active"] = Field(default="mean", description="From triplets to one loss.")
    anchoring: float = Field(default=2, ge=0, description="Weight of ||e - teacher||^2. 0 needs no teacher.")


class OptimiserConfig(Section):
    steps: int = Field(default=120, ge=1, description="Batches in all.")
    learning_rate: float = Field(default=0.01, gt=0, description="Of SGD, at its peak.")
    warm_up: int = Field(default=20, ge=0, description="Steps of linear rise; a cosine fall to 0 follows.")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Of SGD.")
    weight_decay: float = Field(default=0, ge=0, description="Of SGD.")
    clip: float = Field(default=5, gt=0, description="The gradient's largest norm.")


class AugmentationConfig(Section):
    share: Share = Field(default=0.75, description="Views that are changed at all.")
    flip: Share = Field(default=0.5, description="Of those, mirrored ones.")
    landmark_noise: float = Field(default=1, ge=0, le=8, description="Standard deviation in px of each landmark.")
    scale: float = Field(default=0.03, ge=0, le=0.2, description="Standard deviation, as a share.")
    rotation: float = Field(default=1.2, ge=0, le=45, description="Standard deviation in degrees.")
    brightness: float = Field(default=0.1, ge=0, le=1, description="Largest shift, as a share of white.")
    contrast: float = Field(default=0.2, ge=0, lt=1, description="Largest change of slope.")
    gamma: float = Field(default=0.2, ge=0, le=2, description="Largest change of the exponent's logarithm.")
    degraded_share: Share = Field(default=0.35, description="Small or blurred views.")
    blur_share: Share = Field(default=0.3, description="Of those, blurred rather than small ones.")
    blur_sigma: tuple[Positive, Positive] = Field(default=(0.6, 2.0), description="Range in px.")
    face_size: tuple[int, int] = Field(default=(36, 90), description="Range in px of a small crop's width.")
    jpeg_share: Share = Field(default=0.7, description="Of degraded views, those kept as JPEG.")
    jpeg_quality: tuple[int, int] = Field(default=(30, 95), description="Range.")
    edge_share: Share = Field(default=0, description="Views cut at the photo's edge; the teacher sees the whole face.")
    edge_depth: float = Field(default=0.25, ge=0, le=0.5, description="Deepest cut, as a share of the crop's width.")

    @model_validator(mode="after")
    def _ranges_rise(self) -> Self:
        within = {"blur_sigma": (0, 20), "face_size": (8, 112), "jpeg_quality": (1, 100)}
        for name, (least, most) in within.items():
            low, high = getattr(self, name)
            if not least <= low <= high <= most:
                raise ValueError(f"{name}: want {least} <= low <= high <= {most}, got [{low}, {high}]")
        return self


class TrainConfig(Section):
    run: RunConfig = RunConfig()
    data: DataConfig
    network: NetworkConfig = NetworkConfig()
    batch: BatchConfig = BatchConfig()
    loss: LossConfig
    optimiser: OptimiserConfig = OptimiserConfig()
    augmentation: AugmentationConfig = AugmentationConfig()

    @model_validator(mode="after")
    def _a_teacher_where_one_is_needed(self) -> Self:
        if self.loss.anchoring and self.network.weights is None:
            raise ValueError("loss.anchoring: the teacher is the network of network.weights; give it, or set 0")
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
