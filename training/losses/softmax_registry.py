"""The margin softmax losses by name."""

from collections.abc import Callable
from dataclasses import dataclass

from training.losses.adaptive_softmax import AdaFace, CurricularFace, MagFace
from training.losses.margin_softmax import (
    ArcFace,
    CosFace,
    ElasticArcFace,
    ElasticCosFace,
    MarginSoftmax,
    SubCenterArcFace,
)
from training.losses.options import SoftmaxOptions


@dataclass(frozen=True, slots=True)
class SoftmaxLoss:
    """`build` takes the number of people, the embedding size, the options and a margin; `margin` is the paper's."""

    build: Callable[[int, int, SoftmaxOptions, float], MarginSoftmax]
    margin: float


def build_softmax(name: str, people: int, embedding_size: int, options: SoftmaxOptions) -> MarginSoftmax:
    loss = SOFTMAX_LOSSES[name]
    return loss.build(people, embedding_size, options, loss.margin if options.margin is None else options.margin)


SOFTMAX_LOSSES: dict[str, SoftmaxLoss] = {
    "arcface": SoftmaxLoss(lambda p, d, o, m: ArcFace(p, d, scale=o.scale, margin=m), 0.5),
    "cosface": SoftmaxLoss(lambda p, d, o, m: CosFace(p, d, scale=o.scale, margin=m), 0.35),
    "sub-center-arcface": SoftmaxLoss(
        lambda p, d, o, m: SubCenterArcFace(p, d, scale=o.scale, margin=m, sub_centers=o.sub_centers), 0.5
    ),
    "elastic-arcface": SoftmaxLoss(
        lambda p, d, o, m: ElasticArcFace(p, d, scale=o.scale, margin=m, sigma=o.sigma), 0.5
    ),
    "elastic-cosface": SoftmaxLoss(
        lambda p, d, o, m: ElasticCosFace(p, d, scale=o.scale, margin=m, sigma=o.sigma), 0.35
    ),
    "curricularface": SoftmaxLoss(
        lambda p, d, o, m: CurricularFace(p, d, scale=o.scale, margin=m, momentum=o.momentum), 0.5
    ),
    "adaface": SoftmaxLoss(
        lambda p, d, o, m: AdaFace(p, d, scale=o.scale, margin=m, concentration=o.concentration, momentum=o.momentum),
        0.4,
    ),
    "magface": SoftmaxLoss(
        lambda p, d, o, _: MagFace(
            p,
            d,
            scale=o.scale,
            norms=(o.lower_norm, o.upper_norm),
            margins=(o.lower_margin, o.upper_margin),
            norm_weight=o.norm_weight,
        ),
        0.45,
    ),
}
