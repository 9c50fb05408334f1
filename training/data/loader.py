"""Load and augment batches while the network trains on the one before."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from app.domain.models import Pixels
from training.config.augmentation import AugmentationConfig
from training.data.augmentation import augment
from training.data.dataset import FaceSet, read_crop
from training.data.samplers import Indices
from training.miners.triplets import Triplets
from training.randomness import Stream, generator


class Sampler(Protocol):
    """Gives the face indices (B,) of a batch as a function of the step, and the triplets in it if they are known."""

    @property
    def triplets(self) -> Triplets | None: ...

    def batch(self, step: int) -> Indices: ...


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """
    uint8 views (B / processes, H, W, 3) of this process's shard of `faces` (B,), which have `labels` (B,).

    `triplets` are positions in the batch, if they were mined before.
    """

    views: Tensor
    faces: Tensor
    labels: Tensor
    triplets: Triplets | None = None


@dataclass(frozen=True, slots=True, eq=False)
class BatchLoader:
    """
    Makes the batch of a step as a function of the step: a resumed run sees exactly the same views.

    `num_workers` threads make the views of the next batch (OpenCV releases the GIL). `shard` maps a batch's size to
    this process's positions in it.
    """

    faces: FaceSet
    sampler: Sampler
    augmentation: AugmentationConfig
    seed: int
    num_workers: int = 1
    shard: Callable[[int], slice] = slice  # all positions

    def batch(self, step: int) -> Batch:
        chosen = self.sampler.batch(step)  # (B,)
        return self._batch(chosen, [self._view(step, index, int(chosen[index])) for index in self._positions(chosen)])

    def prefetch(self, first: int, end: int) -> Iterator[tuple[int, Batch]]:
        """Yield batches `first` to `end` - 1, always preparing the next one."""
        with ThreadPoolExecutor(self.num_workers) as pool:
            pending = self._submit(pool, first)
            for step in range(first, end):
                chosen, views = pending
                batch = self._batch(chosen, [view.result() for view in views])
                pending = self._submit(pool, min(step + 1, end - 1))
                yield step, batch

    def _submit(self, pool: ThreadPoolExecutor, step: int) -> tuple[Indices, list[Future[Pixels]]]:
        chosen = self.sampler.batch(step)
        return chosen, [pool.submit(self._view, step, index, int(chosen[index])) for index in self._positions(chosen)]

    def _positions(self, chosen: Indices) -> range:
        return range(len(chosen))[self.shard(len(chosen))]

    def _batch(self, chosen: Indices, views: list[Pixels]) -> Batch:
        labels = torch.from_numpy(self.faces.labels[chosen])
        return Batch(torch.from_numpy(np.stack(views)), torch.from_numpy(chosen), labels, self.sampler.triplets)

    def _view(self, step: int, index: int, face: int) -> Pixels:
        random = generator(self.seed, Stream.VIEWS, step, index)
        crop = read_crop(self.faces.paths[face], self.faces.format)
        return augment(crop, self.augmentation, random, self.faces.format.geometry)
