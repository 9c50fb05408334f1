"""From a batch's number to its pixels, one batch ahead of the network."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from app.domain.nouns import Pixels
from training.augmentation import augment
from training.config import AugmentationConfig
from training.data import FaceSet, read_crop
from training.randomness import Stream, generator
from training.sampling import PeopleSampler


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """uint8 views (B, H, W, 3) of `faces` (B,), which are of `people` (B,)."""

    views: Tensor
    faces: Tensor
    people: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Batches:
    """Batch number `step` is a function of the step: a resumed run sees the very same views."""

    faces: FaceSet
    sampler: PeopleSampler
    augmentation: AugmentationConfig
    seed: int

    def batch(self, step: int) -> Batch:
        chosen = self.sampler.batch(step)  # (B,)
        views = np.stack([self._view(step, place, int(face)) for place, face in enumerate(chosen)])
        return Batch(torch.from_numpy(views), torch.from_numpy(chosen), torch.from_numpy(self.faces.people[chosen]))

    def ahead(self, first: int, end: int) -> Iterator[tuple[int, Batch]]:
        """Batches `first` to `end` - 1; while one is used, a thread makes the next (OpenCV releases the GIL)."""
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(self.batch, first)
            for step in range(first, end):
                batch = coming.result()
                coming = pool.submit(self.batch, min(step + 1, end - 1))
                yield step, batch

    def _view(self, step: int, place: int, face: int) -> Pixels:
        random = generator(self.seed, Stream.VIEWS, step, place)
        return augment(read_crop(self.faces.paths[face]), self.augmentation, random)
