"""The options of the losses that have more than a margin; each default is that of the paper or its authors' code."""

from pydantic import BaseModel, Field


class SoftmaxOptions(BaseModel, extra="forbid", frozen=True):
    scale: float = Field(default=64, gt=0, le=256, description="s: logits are s times a cosine.")
    margin: float | None = Field(
        default=None,
        ge=0,
        lt=1.5,
        description="m, in radians or as a difference of cosines; None is the paper's. magface takes its own two.",
    )
    sub_centers: int = Field(default=3, ge=1, le=16, description="sub-center-arcface: centers of each person.")
    sigma: float = Field(default=0.05, ge=0, le=0.5, description="elastic-*: standard deviation of the margins.")
    momentum: float = Field(
        default=0.99, ge=0, lt=1, description="curricularface, adaface: share of the old value in a moving average."
    )
    concentration: float = Field(
        default=0.333, gt=0, le=10, description="adaface: h, margins for one standard deviation of the norms."
    )
    lower_norm: float = Field(default=10, gt=0, description="magface: l_a, the norm with the lower margin.")
    upper_norm: float = Field(default=110, gt=0, description="magface: u_a, the norm with the upper margin.")
    lower_margin: float = Field(default=0.45, ge=0, lt=1.5, description="magface: l_m, in radians.")
    upper_margin: float = Field(default=0.8, ge=0, lt=1.5, description="magface: u_m, in radians.")
    norm_weight: float = Field(default=35, ge=0, description="magface: lambda_g, weight of the term of the norms.")


class MultiSimilarityOptions(BaseModel, extra="forbid", frozen=True):
    alpha: float = Field(default=2, gt=0, le=100, description="Scale of genuine pairs.")
    beta: float = Field(default=50, gt=0, le=500, description="Scale of impostor pairs.")
    base: float = Field(
        default=0.5,
        ge=-1,
        le=1,
        description="lambda, the cosine about which pairs are weighted; 1 in the paper's text.",
    )
    epsilon: float = Field(default=0.1, ge=0, le=2, description="Margin of the miner multi-similarity, in cosine.")


class CircleOptions(BaseModel, extra="forbid", frozen=True):
    margin: float = Field(default=0.25, ge=0, lt=1, description="m, the relaxation.")
    scale: float = Field(default=256, gt=0, le=1024, description="gamma.")


class NPairOptions(BaseModel, extra="forbid", frozen=True):
    scale: float = Field(
        default=16, gt=0, le=256, description="Factor of cosines: the paper's vectors have any length, these have 1."
    )
