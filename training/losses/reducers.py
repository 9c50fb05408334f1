"""Reducers: from a loss per triplet, pair or face to one number."""

from collections.abc import Callable

from torch import Tensor

Reducer = Callable[[Tensor], Tensor]


def mean(losses: Tensor) -> Tensor:
    """Return the mean over all; 0 where there is none."""
    return losses.sum() / max(len(losses), 1)


def mean_of_active(losses: Tensor) -> Tensor:
    """Return the mean over losses above zero, so that the gradient does not fade as triplets are solved; 0 if none."""
    return losses.sum() / (losses > 0).sum().clamp(min=1)


REDUCERS: dict[str, Reducer] = {"mean": mean, "mean-of-active": mean_of_active}
