"""
Random numbers as a function of where they are used: (seed, stream, counters).

Nothing has to be saved for an exact resume, and threads may draw in any order.
"""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """The uses of randomness; two streams never meet."""

    PEOPLE = 0
    FACES = 1
    VIEWS = 2


def generator(seed: int, stream: Stream, *counters: int) -> np.random.Generator:
    return np.random.default_rng([seed, stream, *counters])
