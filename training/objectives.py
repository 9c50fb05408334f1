"""
What a step is judged by: unit vectors (B, D) of people (B,) to one loss per triplet, pair or face (T,).

An objective mines and measures; the reducer, which follows, makes one number of it.
"""

from collections.abc import Callable

from torch import Tensor

from training import losses, pair_mining
from training.config import LossConfig
from training.mining import Triplets, miner
from training.randomness import Stream, torch_generator

Objective = Callable[[Tensor, Tensor], Tensor]


def triplets(config: LossConfig, seed: int, step: int, given: Triplets | None = None) -> Objective:
    """Of the triplets that were `given` (mined offline), or of those that the miner finds in the batch."""
    mine = miner(config.miner, config.margin, torch_generator(seed, Stream.MINING, step))

    def losses_of(embeddings: Tensor, people: Tensor) -> Tensor:
        distances = losses.squared_l2(embeddings)  # (B, B)
        mined = mine(distances.detach(), people) if given is None else given
        return losses.triplet_losses(distances, mined, config.margin)  # (T,)

    return losses_of


def contrastive(config: LossConfig, seed: int, step: int) -> Objective:
    """Of the pairs that the miner finds in the batch."""

    def losses_of(embeddings: Tensor, people: Tensor) -> Tensor:
        pairs = pair_mining.pairs(config.miner, people, torch_generator(seed, Stream.MINING, step))
        return losses.contrastive_losses(losses.squared_l2(embeddings), pairs, config.margin)  # (T,)

    return losses_of
