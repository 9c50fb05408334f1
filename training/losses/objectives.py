"""
The losses by name, and the objective that each gives to a training step.

An objective maps unit vectors (B, D) of people (B,) to one loss per triplet, pair or face (T,): it mines in the batch
and computes the losses. A reducer then makes one number of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from training.losses.functional import contrastive_losses, squared_l2, triplet_losses
from training.losses.options import CircleOptions, MultiSimilarityOptions, NPairOptions
from training.losses.pair_weighting import circle_losses, multi_similarity_losses, n_pair_losses
from training.miners.anchors import ANCHOR_MINERS, all_anchor_pairs, n_pairs
from training.miners.pairs import PAIR_MINERS
from training.miners.triplets import TRIPLET_MINERS, Triplets

Objective = Callable[[Tensor, Tensor], Tensor]


class LossSettings(Protocol):
    """The options of the section `[loss]` that an objective reads."""

    @property
    def miner(self) -> str: ...
    @property
    def margin(self) -> float: ...
    @property
    def multi_similarity(self) -> MultiSimilarityOptions: ...
    @property
    def circle(self) -> CircleOptions: ...
    @property
    def n_pair(self) -> NPairOptions: ...


@dataclass(frozen=True, slots=True)
class Loss:
    """
    `objective` takes the settings, a generator for the miner, and triplets if they were mined before.

    `chance` gives, for the settings, the largest loss of a network that has learned nothing.
    """

    objective: Callable[[LossSettings, torch.Generator, Triplets | None], Objective]
    miners: Mapping[str, object]
    chance: Callable[[LossSettings], float]


def triplet(settings: LossSettings, random: torch.Generator, mined: Triplets | None = None) -> Objective:
    mine = TRIPLET_MINERS[settings.miner](settings.margin, random)

    def objective(embeddings: Tensor, people: Tensor) -> Tensor:
        distances = squared_l2(embeddings)  # (B, B)
        triplets = mine(distances.detach(), people) if mined is None else mined
        return triplet_losses(distances, triplets, settings.margin)  # (T,)

    return objective


def contrastive(settings: LossSettings, random: torch.Generator, _mined: Triplets | None = None) -> Objective:
    def objective(embeddings: Tensor, people: Tensor) -> Tensor:
        pairs = PAIR_MINERS[settings.miner](people, random)
        return contrastive_losses(squared_l2(embeddings), pairs, settings.margin)  # (T,)

    return objective


def multi_similarity(settings: LossSettings, _random: torch.Generator, _mined: Triplets | None = None) -> Objective:
    def objective(embeddings: Tensor, people: Tensor) -> Tensor:
        cosines, options = embeddings @ embeddings.T, settings.multi_similarity  # (B, B)
        pairs = ANCHOR_MINERS[settings.miner](cosines, people, options.epsilon)
        return multi_similarity_losses(cosines, pairs, options)  # (B,)

    return objective


def circle(settings: LossSettings, _random: torch.Generator, _mined: Triplets | None = None) -> Objective:
    def objective(embeddings: Tensor, people: Tensor) -> Tensor:
        cosines = embeddings @ embeddings.T  # (B, B)
        return circle_losses(cosines, all_anchor_pairs(cosines, people, 0), settings.circle)  # (T,)

    return objective


def n_pair(settings: LossSettings, random: torch.Generator, _mined: Triplets | None = None) -> Objective:
    def objective(embeddings: Tensor, people: Tensor) -> Tensor:
        anchors, positives = n_pairs(people, random)
        return n_pair_losses(embeddings[anchors], embeddings[positives], settings.n_pair.scale)  # (N,)

    return objective


def no_mining(_settings: LossSettings, _random: torch.Generator, _mined: Triplets | None = None) -> Objective:
    """
    Return no losses.

    In distillation every face learns its teacher's vector; a softmax is computed by the learner, which has its centers.
    """
    return lambda embeddings, _people: embeddings.new_zeros(0)


LOSSES: dict[str, Loss] = {
    "triplet": Loss(triplet, TRIPLET_MINERS, chance=lambda settings: 1 + settings.margin),
    "contrastive": Loss(contrastive, PAIR_MINERS, chance=lambda settings: settings.margin**2 / 2),
    "multi-similarity": Loss(multi_similarity, ANCHOR_MINERS, chance=lambda _: 2.0),
    "circle": Loss(circle, {"all-pairs": None}, chance=lambda settings: settings.circle.scale),
    "n-pair": Loss(n_pair, {"n-pairs": None}, chance=lambda settings: settings.n_pair.scale),
    "distillation": Loss(no_mining, {"none": None}, chance=lambda _: 0.0),
    "softmax": Loss(no_mining, {"none": None}, chance=lambda _: 0.0),
}
