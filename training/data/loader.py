"""Load and augment batches while the network trains on the one before."""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Literal, Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from app.domain.arrays import Pixels
from training.config.augmentation import AugmentationConfig
from training.data.augmentation import augment
from training.data.dataset import CropFormat, FaceSet, read_crop
from training.data.packed_files import ImageFile
from training.data.samplers import Indices
from training.miners.triplets import Triplets
from training.randomness import Stream, generator

_PARTS = 4
"""The parts of a batch for each worker: more share the work more evenly, fewer cost less."""


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


@dataclass(frozen=True, slots=True)
class ViewMaker:
    """Makes views as a function of the seed, the step and the position in the batch, in any thread or process."""

    augmentation: AugmentationConfig
    crops: CropFormat
    seed: int

    def views(self, step: int, images: Sequence[tuple[int, ImageFile]]) -> list[Pixels]:
        """Return the views of images at their positions in the batch of a step."""
        return [self._view(step, position, image) for position, image in images]

    def _view(self, step: int, position: int, image: ImageFile) -> Pixels:
        random = generator(self.seed, Stream.VIEWS, step, position)
        return augment(read_crop(image, self.crops), self.augmentation, random, self.crops.geometry)


@dataclass(frozen=True, slots=True, eq=False)
class BatchLoader:
    """
    Makes the batch of a step as a function of the step: a resumed run sees exactly the same views.

    `num_workers` threads or processes make the views of the next batch. OpenCV releases the GIL in threads; processes
    do the rest at the same time too, for which each view is copied once. `shard` maps a batch's size to this process's
    positions in it. `pinned` views lie in memory that a GPU copies from by itself, while the CPU goes on.
    """

    faces: FaceSet
    sampler: Sampler
    augmentation: AugmentationConfig
    seed: int
    num_workers: int = 1
    workers: Literal["threads", "processes"] = "threads"
    shard: Callable[[int], slice] = slice  # all positions
    pinned: bool = False

    def batch(self, step: int) -> Batch:
        chosen = self.sampler.batch(step)  # (B,)
        return self._batch(chosen, self._maker.views(step, self._images(chosen)))

    def prefetch(self, first: int, end: int) -> Iterator[tuple[int, Batch]]:
        """Yield batches `first` to `end` - 1, always preparing the next one."""
        with self._pool() as pool:
            pending = self._submit(pool, first)
            for step in range(first, end):
                chosen, views = pending
                batch = self._batch(chosen, [view for part in views for view in part.result()])
                pending = self._submit(pool, min(step + 1, end - 1))
                yield step, batch

    @property
    def _maker(self) -> ViewMaker:
        return ViewMaker(self.augmentation, self.faces.format, self.seed)

    def _pool(self) -> Executor:
        if self.workers == "threads":
            return ThreadPoolExecutor(self.num_workers)
        context = get_context("forkserver")  # a fork would copy locks that PyTorch's threads hold
        context.set_forkserver_preload([__name__])  # imported once, instead of by each worker
        return ProcessPoolExecutor(self.num_workers, context, initializer=_prepare_process)

    def _submit(self, pool: Executor, step: int) -> tuple[Indices, list[Future[list[Pixels]]]]:
        chosen, maker = self.sampler.batch(step), self._maker
        images = self._images(chosen)
        size = max(1, len(images) // (_PARTS * self.num_workers))
        parts = [images[start : start + size] for start in range(0, len(images), size)]
        return chosen, [pool.submit(maker.views, step, part) for part in parts]

    def _images(self, chosen: Indices) -> list[tuple[int, ImageFile]]:
        positions = range(len(chosen))[self.shard(len(chosen))]
        return [(position, self.faces.paths[int(chosen[position])]) for position in positions]

    def _batch(self, chosen: Indices, views: list[Pixels]) -> Batch:
        labels = torch.from_numpy(self.faces.labels[chosen])
        joint = torch.empty((len(views), *views[0].shape), dtype=torch.uint8, pin_memory=self.pinned)
        np.stack(views, out=joint.numpy())
        return Batch(joint, torch.from_numpy(chosen), labels, self.sampler.triplets)


def _prepare_process() -> None:
    """Leave Ctrl-C to the main process, which stops the others, and the cores to the other processes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
