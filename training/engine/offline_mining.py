"""
Offline mining: every n steps, triplets for the next steps are mined in a pool of faces (FaceNet section 3.2).

A pool is far larger than a batch, so its hard triplets are harder; the current network embeds its clean crops.
"""

import math
import time

import numpy as np
import torch

from training.config.schema import TrainConfig
from training.data.dataset import FaceSet
from training.data.samplers import FillingSampler, Indices, PeopleSampler, TripletSampler, usable_faces
from training.engine.checkpoints import State
from training.engine.distributed import Processes
from training.engine.logging import MinedPool, OnMined
from training.engine.train_step import Learner
from training.engine.validation import embed_crops
from training.errors import TrainingError
from training.losses.functional import squared_l2
from training.miners.triplets import TRIPLET_MINERS
from training.randomness import Stream, torch_generator


class NoTripletsMined(TrainingError):
    """The pool has no triplet of the kind that the miner looks for."""


class OfflineMining:
    """
    The rounds of one run. Its state holds the last pool's triplets: the weights that found them are gone.

    A round ends at a multiple of `every` steps; or, where triplets are `used_once`, when all of them were used, and
    after `every` steps at most.
    """

    def __init__(self, config: TrainConfig, faces: FaceSet, processes: Processes) -> None:
        self._config, self._faces, self._processes = config, faces, processes
        self._pool = _pool_sampler(config, faces)
        self._round, self._mined = -1, np.empty((0, 3), np.int64)
        self._start = self.end = 0

    def sampler(self, learner: Learner, on_mined: OnMined = lambda *_: None) -> TripletSampler:
        """Return batches of this round's triplets, mining them first if needed. Raises NoTripletsMined."""
        settings, batch, step = self._config.offline_mining, self._config.batch, learner.step
        count = batch.people * batch.faces // 3
        if step >= self.end:
            self._round = self._round + 1 if settings.used_once else step // settings.every
            mined = self._mine(learner, on_mined) if self._processes.is_main else None
            self._mined = np.asarray(self._processes.broadcast(mined))
            self._start, self.end = step, (self._round + 1) * settings.every
            if settings.used_once:
                self.end = step + min(settings.every, max(1, math.ceil(len(self._mined) / count)))
        if not len(self._mined):
            raise NoTripletsMined(
                f"no {self._config.loss.miner} triplet in the pool at step {step}: raise offline_mining.people "
                "or loss.margin, or stop here: these faces are learned"
            )
        return TripletSampler(self._mined, count, self._config.run.seed, self._start if settings.used_once else 0)

    def state_dict(self) -> State:
        return {
            "round": self._round,
            "mined": torch.from_numpy(self._mined),
            "start": self._start,
            "end": self.end,
        }

    def load_state_dict(self, state: State) -> None:
        self._round, self._mined = state["round"], state["mined"].numpy()
        self._start, self.end = state["start"], state["end"]

    def _mine(self, learner: Learner, on_mined: OnMined) -> Indices:
        """Return triplets of face indices, (M, 3)."""
        loss, seed = self._config.loss, self._config.run.seed
        begun = time.perf_counter()
        pool = np.unique(self._pool.batch(self._round))  # (N,)
        paths, labels = [self._faces.paths[face] for face in pool], self._faces.labels[pool]
        vectors = embed_crops(learner.network, learner.weights(), paths, self._faces.format)  # (N, D)
        embedded = time.perf_counter()
        mine = TRIPLET_MINERS[loss.miner](loss.margin, torch_generator(seed, Stream.POOL, self._round))
        triplets = mine(squared_l2(vectors), torch.from_numpy(labels))
        indices = torch.stack([triplets.anchors, triplets.positives, triplets.negatives], 1)  # (M, 3)
        _, counts = np.unique(labels, return_counts=True)
        pairs = int((counts * (counts - 1)).sum())
        times = embedded - begun, time.perf_counter() - embedded
        on_mined(learner.step, MinedPool(len(pool), pairs, len(triplets), *times))
        return np.asarray(pool[indices.numpy()], np.int64)


def _pool_sampler(config: TrainConfig, faces: FaceSet) -> PeopleSampler | FillingSampler:
    settings, seed = config.offline_mining, config.run.seed
    if config.batch.fill == "people":
        usable = usable_faces(faces.faces_of, settings.faces)
        return FillingSampler(faces.faces_of, min(settings.people * settings.faces, usable), settings.faces, seed)
    people = min(settings.people, len(faces.names))
    return PeopleSampler(faces.faces_of, people, settings.faces, seed)
