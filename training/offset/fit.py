"""
Fit a network to the threshold offsets of a crowd.

The offset of a face x is c(x) = 2 * strength * (crowd(x) - mean), where crowd(x) is the mean cosine of x to its nearest
faces of the crowd, and `mean` that of the crowd's own faces. It is adaptive symmetric score normalization (Matejka et
al., Interspeech 2017) without the spread. A network stands in for the crowd, so that nobody's template is shipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from app.domain.arrays import Floats
from training.offset.crowd import mean_cosine_to_nearest
from training.offset.network import OffsetNetwork
from training.pipeline.progress import progress_bar
from training.randomness import Stream, generator, torch_generator, torch_seed

MIXES = 4
"""Sets of mixes of two faces that are fitted beside the faces themselves, so that the space between faces is known."""
NOISE = 0.5
"""Length of the noise that is added to a unit vector."""


@dataclass(frozen=True, slots=True)
class OffsetOptions:
    """The form of the offsets, `nearest` and `strength`, and how the network is fitted to them."""

    nearest: int = 50
    strength: float = 0.5
    seed: int = 0
    epochs: int = 20
    batch: int = 512
    lr: float = 2e-3
    weight_decay: float = 1e-2


@dataclass(frozen=True, slots=True)
class Samples:
    """Unit vectors (N, D) and the true crowd(x) of each, (N,)."""

    vectors: Floats
    targets: Floats

    def joined(self, others: Samples) -> Samples:
        return Samples(np.concatenate([self.vectors, others.vectors]), np.concatenate([self.targets, others.targets]))


def fit_network(crowd: Floats, options: OffsetOptions, others: Floats | None = None) -> OffsetNetwork:
    """
    Return a network fitted to the offsets of `crowd` (M, D), and of `others` (N, D), who are not in it.

    Equal options give equal weights on one machine.
    """
    samples = crowd_samples(crowd, options)
    if others is not None and len(others):
        samples = samples.joined(samples_at(others, crowd, options))
    mean = float(samples.targets[: len(crowd)].mean())
    spread = float(samples.targets.std())
    with _reproducible(options.seed):
        network = OffsetNetwork(crowd.shape[1])
        _train(network, samples, (mean, spread), options)
    network.scale.fill_(2 * options.strength * spread)
    return network.eval()


def true_offsets(vectors: Floats, crowd: Floats, options: OffsetOptions) -> Floats:
    """Return c(x) of vectors (N, D) of people who are not in the crowd, computed from the crowd itself."""
    own = mean_cosine_to_nearest(crowd, crowd, options.nearest, np.arange(len(crowd))[:, None])
    crowdedness = mean_cosine_to_nearest(vectors, crowd, options.nearest)
    return np.asarray(2 * options.strength * (crowdedness - own.mean()), np.float32)


def crowd_samples(crowd: Floats, options: OffsetOptions) -> Samples:
    """Return the crowd's faces, mixes of two of them, and noisy copies; the faces that each is made of do not count."""
    vectors, sources = _around(crowd, options.seed)
    return Samples(vectors, mean_cosine_to_nearest(vectors, crowd, options.nearest, sources))


def samples_at(faces: Floats, crowd: Floats, options: OffsetOptions) -> Samples:
    """Return faces (N, D) of people who are not in the crowd, mixes of two of them, and noisy copies."""
    vectors, _ = _around(faces, options.seed)
    return Samples(vectors, mean_cosine_to_nearest(vectors, crowd, options.nearest))


def _around(faces: Floats, seed: int) -> tuple[Floats, NDArray[np.int64]]:
    """Return unit vectors (S, D): the faces, mixes and noisy copies; and the rows of the two faces of each, (S, 2)."""
    rows = np.arange(len(faces))
    parts, sources = [faces], [np.stack([rows, rows], axis=1)]
    for number in range(MIXES):
        random = generator(seed, Stream.CROWD, number)
        partners = random.permutation(len(faces))
        share = random.uniform(0, 1, (len(faces), 1)).astype(np.float32)
        parts.append(share * faces + (1 - share) * faces[partners])
        sources.append(np.stack([rows, partners], axis=1))
    noise = generator(seed, Stream.CROWD, MIXES).standard_normal(faces.shape, np.float32)
    parts.append(faces + NOISE * noise / np.linalg.norm(noise, axis=1, keepdims=True))
    sources.append(sources[0])
    vectors = np.concatenate(parts)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return vectors, np.concatenate(sources)


def _train(network: OffsetNetwork, samples: Samples, standard: tuple[float, float], options: OffsetOptions) -> None:
    mean, spread = standard
    vectors, targets = torch.from_numpy(samples.vectors), torch.from_numpy((samples.targets - mean) / spread)
    steps = options.epochs * len(range(0, len(vectors), options.batch))
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.lr, weight_decay=options.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    with progress_bar() as progress:
        for epoch in progress.track(range(options.epochs), description="fit the offsets"):
            order = torch.randperm(
                len(vectors), generator=torch_generator(options.seed, Stream.CROWD, MIXES + 1, epoch)
            )
            for start in range(0, len(order), options.batch):
                rows = order[start : start + options.batch]
                loss = functional.mse_loss(network.standardized(vectors[rows]), targets[rows])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()


@contextmanager
def _reproducible(seed: int) -> Iterator[None]:
    """Seed torch, and use one thread: sums over several depend on their number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torch_seed(seed, Stream.CROWD, MIXES + 2))
            yield
    finally:
        torch.set_num_threads(threads)
