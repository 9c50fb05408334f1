"""The learning rate as a function of the step."""

import math

from training.config import OptimiserConfig


def learning_rate(step: int, config: OptimiserConfig) -> float:
    """A linear rise over `warm_up` steps to the peak, then half a cosine down towards 0 at `steps`."""
    if step < config.warm_up:
        return config.learning_rate * (step + 1) / config.warm_up
    done = (step - config.warm_up) / max(config.steps - config.warm_up, 1)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
