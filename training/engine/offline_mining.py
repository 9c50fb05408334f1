"""
Offline mining: every n steps, triplets for the next steps are mined in a pool of faces (FaceNet section 3.2).

A pool is far larger than a batch, so its hard triplets are harder; the current network embeds its clean crops.
"""

import numpy as np
import torch

from training.config.schema import TrainConfig
from training.data.dataset import FaceSet
from training.data.samplers import Indices, PeopleSampler, TripletSampler
from training.engine.checkpoints import State
from training.engine.distributed import Processes
from training.engine.train_step import Learner
from training.engine.validation import embed_crops
from training.errors import TrainingError
from training.losses.functional import squared_l2
from training.miners.triplets import TRIPLET_MINERS
from training.randomness import Stream, torch_generator


class NoTripletsMined(TrainingError):
    """The pool has no triplet of the kind that the miner looks for."""


class OfflineMining:
    """The rounds of one run. Its state holds the last pool's triplets: the weights that found them are gone."""

    def __init__(self, config: TrainConfig, faces: FaceSet, processes: Processes) -> None:
        self._config, self._faces, self._processes = config, faces, processes
        people = min(config.offline_mining.people, len(faces.names))
        self._pool = PeopleSampler(faces.faces_of, people, config.offline_mining.faces, config.run.seed)
        self._round, self._mined = -1, np.empty((0, 3), np.int64)

    def end_of_round(self, step: int) -> int:
        """Return the step at which the triplets of `step` are replaced."""
        return (step // self._config.offline_mining.every + 1) * self._config.offline_mining.every

    def sampler(self, learner: Learner) -> TripletSampler:
        """Return batches of this round's triplets, mining them first if needed. Raises NoTripletsMined."""
        current = learner.step // self._config.offline_mining.every
        if current != self._round:
            mined = self._mine(learner, current) if self._processes.is_main else None
            self._round, self._mined = current, np.asarray(self._processes.broadcast(mined))
        if not len(self._mined):
            raise NoTripletsMined(
                f"no {self._config.loss.miner} triplet in the pool at step {learner.step}: raise offline_mining.people "
                "or loss.margin, or stop here: these faces are learned"
            )
        batch = self._config.batch
        return TripletSampler(self._mined, batch.people * batch.faces // 3, self._config.run.seed)

    def state_dict(self) -> State:
        return {"round": self._round, "mined": torch.from_numpy(self._mined)}

    def load_state_dict(self, state: State) -> None:
        self._round, self._mined = state["round"], state["mined"].numpy()

    def _mine(self, learner: Learner, current: int) -> Indices:
        """Return triplets of face indices, (M, 3)."""
        loss, seed = self._config.loss, self._config.run.seed
        pool = np.unique(self._pool.batch(current))  # (N,)
        paths = [self._faces.paths[face] for face in pool]
        vectors = embed_crops(learner.network, learner.weights(), paths, self._faces.format)  # (N, D)
        mine = TRIPLET_MINERS[loss.miner](loss.margin, torch_generator(seed, Stream.POOL, current))
        triplets = mine(squared_l2(vectors), torch.from_numpy(self._faces.labels[pool]))
        indices = torch.stack([triplets.anchors, triplets.positives, triplets.negatives], 1)  # (M, 3)
        return np.asarray(pool[indices.numpy()], np.int64)
