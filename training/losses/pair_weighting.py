"""Losses that weight the pairs of an anchor by their cosines, and N-pair loss."""

import torch
from torch import Tensor
from torch.nn import functional

from training.losses.options import CircleOptions, MultiSimilarityOptions
from training.miners.anchors import AnchorPairs


def multi_similarity_losses(cosines: Tensor, pairs: AnchorPairs, options: MultiSimilarityOptions) -> Tensor:
    """Return the loss of each anchor (B,), from cosines (B, B): Wang et al. 2019 (arXiv:1904.06627), eq. 15."""
    shifted = cosines - options.base
    genuine = _log_sum(-options.alpha * shifted, pairs.positives, one=True) / options.alpha
    return genuine + _log_sum(options.beta * shifted, pairs.negatives, one=True) / options.beta


def circle_losses(cosines: Tensor, pairs: AnchorPairs, options: CircleOptions) -> Tensor:
    """
    Return the loss of each anchor that has both kinds of pairs (T,): Sun et al. 2020 (arXiv:2002.10857), eq. 4 and 8.

    No gradient goes through the weights of the pairs.
    """
    anchors = pairs.positives.any(1) & pairs.negatives.any(1)  # (B,)
    cosines, m = cosines[anchors], options.margin  # (T, B)
    positive = -(1 + m - cosines.detach()).relu() * (cosines - (1 - m))
    negative = (cosines.detach() + m).relu() * (cosines - m)
    genuine = _log_sum(options.scale * positive, pairs.positives[anchors])
    return functional.softplus(genuine + _log_sum(options.scale * negative, pairs.negatives[anchors]))


def n_pair_losses(anchors: Tensor, positives: Tensor, scale: float) -> Tensor:
    """
    Return log(1 + sum over others of exp(a p_other - a p)) of each anchor (N,), from unit vectors (N, D) of N people.

    Sohn 2016, eq. 6, with cosines times a scale; the paper's term of the vectors' lengths is constant here.
    """
    logits = scale * anchors @ positives.T  # (N, N)
    return functional.cross_entropy(logits, torch.arange(len(logits), device=logits.device), reduction="none")


def _log_sum(values: Tensor, chosen: Tensor, *, one: bool = False) -> Tensor:
    """Return log(sum of exp(value)) of the chosen in each row of (T, B), with 1 added to the sum if asked."""
    values = values.masked_fill(~chosen, -torch.inf)
    if one:
        values = functional.pad(values, (0, 1))  # exp(0) is 1
    return values.logsumexp(1)
