"""
Offline mining: every n steps, triplets for the steps to come are sought in a pool of faces (FaceNet section 3.2).

A pool is far larger than a batch, so its hard triplets are harder; the network of the moment embeds its clean crops.
"""

import numpy as np
import torch

from training.config.schema import TrainConfig
from training.data.dataset import FaceSet
from training.data.samplers import Indices, PeopleSampler, TripletSampler
from training.engine.checkpoints import Contents
from training.engine.distributed import Processes
from training.engine.train_step import Learner
from training.engine.validation import embed
from training.errors import TrainingError
from training.losses import functional as losses
from training.miners.triplets import TRIPLET_MINERS
from training.randomness import Stream, torch_generator


class NothingMined(TrainingError):
    """The pool has no triplet of the kind that is sought."""


class OfflineMining:
    """Of one run. Its state is the last pool's triplets: the weights that found them are gone."""

    def __init__(self, config: TrainConfig, faces: FaceSet, processes: Processes) -> None:
        self._config, self._faces, self._processes = config, faces, processes
        people = min(config.offline.people, len(faces.names))
        self._pool = PeopleSampler(faces.faces_of, people, config.offline.faces, config.run.seed)
        self._turn, self._mined = -1, np.empty((0, 3), np.int64)

    def end_of_turn(self, step: int) -> int:
        """The step from which the triplets that hold at `step` hold no longer."""
        return (step // self._config.offline.every + 1) * self._config.offline.every

    def sampler(self, learning: Learner) -> TripletSampler:
        """Batches of the triplets of this turn, mined now unless they are; NothingMined."""
        turn = learning.step // self._config.offline.every
        if turn != self._turn:
            found = self._mine(learning, turn) if self._processes.first else None
            self._turn, self._mined = turn, np.asarray(self._processes.share(found))
        if not len(self._mined):
            raise NothingMined(
                f"no {self._config.loss.miner} triplet in the pool at step {learning.step}: widen offline.people, "
                "raise loss.margin, or stop here: these faces are learned"
            )
        batch = self._config.batch
        return TripletSampler(self._mined, batch.people * batch.faces // 3, self._config.run.seed)

    def contents(self) -> Contents:
        return {"turn": self._turn, "mined": torch.from_numpy(self._mined)}

    def restore(self, kept: Contents) -> None:
        self._turn, self._mined = kept["turn"], kept["mined"].numpy()

    def _mine(self, learning: Learner, turn: int) -> Indices:
        """Face indices (M, 3)."""
        loss, seed = self._config.loss, self._config.run.seed
        pool = np.unique(self._pool.batch(turn))  # (N,)
        paths = [self._faces.paths[face] for face in pool]
        vectors = embed(learning.network, learning.weights(), paths)  # (N, D)
        mine = TRIPLET_MINERS[loss.miner](loss.margin, torch_generator(seed, Stream.POOL, turn))
        triplets = mine(losses.squared_l2(vectors), torch.from_numpy(self._faces.people[pool]))
        places = torch.stack([triplets.anchors, triplets.positives, triplets.negatives], 1)  # (M, 3)
        return np.asarray(pool[places.numpy()], np.int64)
