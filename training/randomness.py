"""
Random numbers as a function of where they are used: (seed, stream, counters).

So an exact resume needs no saved state, and threads may draw in any order.
"""

from enum import IntEnum

import numpy as np
import torch


class Stream(IntEnum):
    """The uses of randomness; different streams are independent."""

    PEOPLE = 0
    FACES = 1
    VIEWS = 2
    MINING = 3
    DROPOUT = 4
    POOL = 5
    TRIPLETS = 6
    CROWD = 7
    MARGINS = 8
    CLASSES = 9
    CENTERS = 10


def generator(seed: int, stream: Stream, *counters: int) -> np.random.Generator:
    return np.random.default_rng([seed, stream, *counters])


def torch_seed(seed: int, stream: Stream, *counters: int) -> int:
    """Return a seed for PyTorch, whose generators take one number."""
    return int(generator(seed, stream, *counters).integers(2**63))


def torch_generator(seed: int, stream: Stream, *counters: int) -> torch.Generator:
    """Return a generator on the CPU, so that every device draws the same numbers."""
    return torch.Generator().manual_seed(torch_seed(seed, stream, *counters))
