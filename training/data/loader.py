"""From a batch's number to its pixels, ahead of the network."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from app.domain.nouns import Pixels
from training.config.schema import AugmentationConfig
from training.data.augmentation import augment
from training.data.dataset import FaceSet, read_crop
from training.data.samplers import Indices
from training.miners.triplets import Triplets
from training.randomness import Stream, generator


class Sampler(Protocol):
    """Face indices (B,) of a batch, as a function of the step; `triplets` says which of them belong together."""

    @property
    def triplets(self) -> Triplets | None: ...

    def batch(self, step: int) -> Indices: ...


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """
    uint8 views (B / processes, H, W, 3) of this process's part of `faces` (B,), which are of `people` (B,).

    `triplets` are places in the batch, where they were mined beforehand.
    """

    views: Tensor
    faces: Tensor
    people: Tensor
    triplets: Triplets | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Batches:
    """
    Batch number `step` is a function of the step: a resumed run sees the very same views.

    `loaders` threads make the views of one batch while another is used (OpenCV releases the GIL).
    """

    faces: FaceSet
    sampler: Sampler
    augmentation: AugmentationConfig
    seed: int
    loaders: int = 1
    shard: Callable[[int], slice] = slice

    def batch(self, step: int) -> Batch:
        chosen = self.sampler.batch(step)  # (B,)
        return self._batch(chosen, [self._view(step, place, int(chosen[place])) for place in self._places(chosen)])

    def ahead(self, first: int, end: int) -> Iterator[tuple[int, Batch]]:
        """Batches `first` to `end` - 1, the next always under way."""
        with ThreadPoolExecutor(self.loaders) as pool:
            coming = self._begin(pool, first)
            for step in range(first, end):
                chosen, views = coming
                batch = self._batch(chosen, [view.result() for view in views])
                coming = self._begin(pool, min(step + 1, end - 1))
                yield step, batch

    def _begin(self, pool: ThreadPoolExecutor, step: int) -> tuple[Indices, list[Future[Pixels]]]:
        chosen = self.sampler.batch(step)
        return chosen, [pool.submit(self._view, step, place, int(chosen[place])) for place in self._places(chosen)]

    def _places(self, chosen: Indices) -> range:
        return range(len(chosen))[self.shard(len(chosen))]

    def _batch(self, chosen: Indices, views: list[Pixels]) -> Batch:
        people = torch.from_numpy(self.faces.people[chosen])
        return Batch(torch.from_numpy(np.stack(views)), torch.from_numpy(chosen), people, self.sampler.triplets)

    def _view(self, step: int, place: int, face: int) -> Pixels:
        random = generator(self.seed, Stream.VIEWS, step, place)
        return augment(read_crop(self.faces.paths[face]), self.augmentation, random)
