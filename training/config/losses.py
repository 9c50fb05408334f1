"""The options of `[loss]`, `[softmax]` and `[pretraining]`."""

from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from training.config.section import Section
from training.losses.objectives import LOSSES
from training.losses.options import CircleOptions, MultiSimilarityOptions, NPairOptions, SoftmaxOptions
from training.losses.reducers import REDUCERS
from training.losses.softmax_registry import SOFTMAX_LOSSES


def one_of(names: Iterable[str]) -> AfterValidator:
    """Accept only these names, the keys of a registry."""

    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"expected one of {', '.join(names)}")
        return name

    return AfterValidator(check)


class LossConfig(Section):
    kind: Annotated[str, one_of(LOSSES)] = Field(default="triplet", description=f"One of {', '.join(LOSSES)}.")
    miner: str = Field(
        default="none",
        description="Chooses what a batch is trained on: "
        + "; ".join(f"{', '.join(loss.miners)} with {kind}" for kind, loss in LOSSES.items())
        + ".",
    )
    margin: float = Field(
        default=0.2, gt=0, lt=4, description="triplet: alpha of FaceNet's eq. 3, in squared L2; contrastive: in L2."
    )
    reducer: Annotated[str, one_of(REDUCERS)] = Field(default="mean", description="From losses to one number.")
    distillation_weight: float = Field(
        default=2,
        ge=0,
        description="Weight of ||embedding - teacher's||^2. Without both weights, no teacher is needed.",
    )
    relational_weight: float = Field(
        default=0, ge=0, description="Weight of the squared differences to the teacher's cosines between faces."
    )

    multi_similarity: MultiSimilarityOptions = Field(
        default=MultiSimilarityOptions(), description="Options of multi-similarity."
    )
    circle: CircleOptions = Field(default=CircleOptions(), description="Options of circle.")
    n_pair: NPairOptions = Field(default=NPairOptions(), description="Options of n-pair.")

    @property
    def needs_teacher(self) -> bool:
        return self.distillation_weight > 0 or self.relational_weight > 0

    @model_validator(mode="after")
    def _miner_fits_the_loss(self) -> Self:
        miners = LOSSES[self.kind].miners
        if self.miner not in miners:
            raise ValueError(f"miner: expected {' or '.join(miners)} with the {self.kind} loss, got {self.miner!r}")
        return self


class SoftmaxConfig(SoftmaxOptions):
    loss: Annotated[str, one_of(SOFTMAX_LOSSES)] = Field(
        default="arcface", description=f"The loss over all people: one of {', '.join(SOFTMAX_LOSSES)}."
    )
    people_share: float = Field(
        default=1,
        gt=0,
        le=1,
        description="Partial FC: the share of the people, besides those of the batch, that take part in a step.",
    )
    divided: bool = Field(
        default=False, description="Partial FC: each process has the centers of its part of the people only."
    )

    @property
    def is_partial(self) -> bool:
        return self.people_share < 1 or self.divided

    @model_validator(mode="after")
    def _norms_and_margins_rise(self) -> Self:
        if self.lower_norm >= self.upper_norm:
            raise ValueError(f"lower_norm: expected less than upper_norm, {self.upper_norm:g}, got {self.lower_norm:g}")
        if self.lower_margin > self.upper_margin:
            raise ValueError(
                f"lower_margin: expected at most upper_margin, {self.upper_margin:g}, got {self.lower_margin:g}"
            )
        return self


class PretrainingConfig(Section):
    steps: int = Field(default=0, ge=0, description="First steps, trained by the loss of [softmax]. 0 is none.")
