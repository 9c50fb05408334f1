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
from torch.nn import functional

from app.domain.models import Floats
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
    epochs: int = 40
    batch: int = 512
    lr: float = 2e-3
    weight_decay: float = 1e-2


@dataclass(frozen=True, slots=True)
class Samples:
    """Unit vectors (N, D) and the true crowd(x) of each, (N,)."""

    vectors: Floats
    targets: Floats


def fit_network(crowd: Floats, options: OffsetOptions) -> OffsetNetwork:
    """Return a network fitted to the offsets of `crowd`, (M, D); equal options give equal weights on one machine."""
    samples = crowd_samples(crowd, options)
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
    rows = np.arange(len(crowd))
    parts, sources = [crowd], [np.stack([rows, rows], axis=1)]
    for number in range(MIXES):
        random = generator(options.seed, Stream.CROWD, number)
        partners = random.permutation(len(crowd))
        share = random.uniform(0, 1, (len(crowd), 1)).astype(np.float32)
        parts.append(share * crowd + (1 - share) * crowd[partners])
        sources.append(np.stack([rows, partners], axis=1))
    noise = generator(options.seed, Stream.CROWD, MIXES).standard_normal(crowd.shape, np.float32)
    parts.append(crowd + NOISE * noise / np.linalg.norm(noise, axis=1, keepdims=True))
    sources.append(sources[0])
    vectors = np.concatenate(parts)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    targets = mean_cosine_to_nearest(vectors, crowd, options.nearest, np.concatenate(sources))
    return Samples(vectors, targets)


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
