"""
The losses by name, and the objective that each gives to a training step.

An objective maps unit vectors (B, D) of people (B,) to one loss per triplet, pair or face (T,): it mines in the batch
and computes the losses. A reducer then makes one number of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from training.losses.functional import contrastive_losses, squared_l2, triplet_losses
from training.miners.pairs import PAIR_MINERS
from training.miners.triplets import TRIPLET_MINERS, Triplets

Objective = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Loss:
    """
    `objective` takes the miner's name, the margin, a generator for the miner, and triplets if they were mined before.

    `chance` gives, for a margin, the largest loss of a network that has learned nothing.
    """

    objective: Callable[[str, float, torch.Generator, Triplets | None], Objective]
    miners: Mapping[str, object]
    chance: Callable[[float], float]


def triplet(miner: str, margin: float, random: torch.Generator, mined: Triplets | None = None) -> Objective:
    mine = TRIPLET_MINERS[miner](margin, random)

    def objective(embeddings: Tensor, people: Tensor) -> Tensor:
        distances = squared_l2(embeddings)  # (B, B)
        triplets = mine(distances.detach(), people) if mined is None else mined
        return triplet_losses(distances, triplets, margin)  # (T,)

    return objective


def contrastive(miner: str, margin: float, random: torch.Generator, _mined: Triplets | None = None) -> Objective:
    def objective(embeddings: Tensor, people: Tensor) -> Tensor:
        pairs = PAIR_MINERS[miner](people, random)
        return contrastive_losses(squared_l2(embeddings), pairs, margin)  # (T,)

    return objective


def no_mining(_miner: str, _margin: float, _random: torch.Generator, _mined: Triplets | None = None) -> Objective:
    """
    Return no losses.

    In distillation every face learns its teacher's vector; a softmax is computed by the learner, which has its centers.
    """
    return lambda embeddings, _people: embeddings.new_zeros(0)


LOSSES: dict[str, Loss] = {
    "triplet": Loss(triplet, TRIPLET_MINERS, chance=lambda margin: 1 + margin),
    "contrastive": Loss(contrastive, PAIR_MINERS, chance=lambda margin: margin**2 / 2),
    "distillation": Loss(no_mining, {"none": None}, chance=lambda _: 0.0),
    "softmax": Loss(no_mining, {"none": None}, chance=lambda _: 0.0),
}
