"""
Random numbers as a function of where they are used: (seed, stream, counters).

Nothing has to be saved for an exact resume, and threads may draw in any order.
"""

from enum import IntEnum

import numpy as np
import torch


class Stream(IntEnum):
    """The uses of randomness; two streams never meet."""

    PEOPLE = 0
    FACES = 1
    VIEWS = 2
    MINING = 3
    DROPOUT = 4
    POOL = 5
    TRIPLETS = 6


def generator(seed: int, stream: Stream, *counters: int) -> np.random.Generator:
    return np.random.default_rng([seed, stream, *counters])


def torch_seed(seed: int, stream: Stream, *counters: int) -> int:
    """The same for PyTorch, whose generators take one number."""
    return int(generator(seed, stream, *counters).integers(2**63))


def torch_generator(seed: int, stream: Stream, *counters: int) -> torch.Generator:
    """On the CPU, so that every device draws the same."""
    return torch.Generator().manual_seed(torch_seed(seed, stream, *counters))
