"""
Partial FC (An et al. 2022, arXiv:2203.15565): a margin softmax over more people than fit in one step, or in one device.

Of all people, those of the batch and a random share of the others take part in a step. The centers may be divided over
processes: each computes the logits of its own people, and the sums over people are those of all processes.
"""

from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.losses.margin_softmax import MarginSoftmax
from training.randomness import Stream, torch_generator

_BLOCK = 1024
"""People whose first centers are drawn together, so that any process draws the same ones for a person."""


class Group(Protocol):
    """The processes that the people are divided over; the sum and the maximum replace the tensor."""

    @property
    def rank(self) -> int: ...
    @property
    def size(self) -> int: ...
    def sum(self, tensor: Tensor) -> None: ...
    def max(self, tensor: Tensor) -> None: ...


class PartialFC(nn.Module):
    """
    Takes the vectors of the whole batch in every process, and gives every process all losses and the whole gradient of
    the vectors.

    `softmax` has the centers of this process's people. Without sampling and in one process it is that softmax exactly.
    """

    def __init__(self, softmax: MarginSoftmax, people: int, *, share: float, seed: int, group: Group) -> None:
        super().__init__()
        self.softmax, self.share, self.seed, self.group = softmax, share, seed, group
        self.everybody, self.people = people, people_of(people, group)
        self._draw_centers()

    @property
    def centers(self) -> nn.Parameter:
        return self.softmax.centers

    def forward(self, vectors: Tensor, people: Tensor, random: torch.Generator | None = None, step: int = 0) -> Tensor:
        """Return the losses (B,) of vectors (B, D) of `people` (B,); the people that take part are drawn by `step`."""
        own_people = people - self.people.start
        here = (own_people >= 0) & (own_people < len(self.people))  # (B,)
        chosen = self._chosen(own_people[here], step)  # (C,)
        column = torch.searchsorted(chosen, own_people.clamp(0, len(self.people) - 1)).clamp(max=len(chosen) - 1)
        embeddings = functional.normalize(_copied(vectors, self.group))
        cosines = self.softmax.cosines(embeddings, self._centers(chosen))  # (B, C)
        own = torch.where(here[:, None], cosines.gather(1, column[:, None]), 0)  # (B, 1)
        own = self.softmax.with_margin(_summed(own, self.group), vectors, random)
        others = self.softmax.scale * self.softmax.harder(cosines, own)
        is_own = torch.zeros_like(others, dtype=torch.bool).scatter_(1, column[:, None], here[:, None])
        losses = self._cross_entropy(self.softmax.scale * own, others.masked_fill(is_own, -torch.inf))
        return losses + self.softmax.penalty(vectors)

    def _cross_entropy(self, own: Tensor, others: Tensor) -> Tensor:
        """Return the losses (B,) from the logits of the right people (B, 1) and of this process's others (B, C)."""
        highest = torch.maximum(others.detach().amax(1, keepdim=True), own.detach())  # (B, 1)
        self.group.max(highest)
        rest = _summed((others - highest).exp().sum(1, keepdim=True), self.group)
        return ((rest + (own - highest).exp()).log() + highest - own).squeeze(1)

    @torch.no_grad()
    def _chosen(self, needed: Tensor, step: int) -> Tensor:
        """Return those of this process's people that take part (C,), ascending: `needed`, and others by chance."""
        count = len(self.people)
        if self.share == 1:
            return torch.arange(count, device=needed.device)
        priority = torch.rand(count, generator=torch_generator(self.seed, Stream.CLASSES, step, self.group.rank))
        needed = torch.unique(needed).cpu()
        priority[needed] = 2
        wanted = max(len(needed), round(self.share * count), 1)
        return priority.topk(wanted).indices.sort().values.to(self.centers.device)

    def _centers(self, chosen: Tensor) -> Tensor:
        if len(chosen) == len(self.people):
            return self.centers
        each = self.softmax.centers_each
        return self.centers.view(len(self.people), each, -1)[chosen].flatten(0, 1)

    @torch.no_grad()
    def _draw_centers(self) -> None:
        each, first = self.softmax.centers_each, self.people.start
        for block in range(first // _BLOCK, -(-self.people.stop // _BLOCK)):
            random = torch_generator(self.seed, Stream.CENTERS, block)
            drawn = torch.randn(_BLOCK * each, self.centers.shape[1], generator=random) * 0.01
            start, stop = max(first, block * _BLOCK), min(self.people.stop, (block + 1) * _BLOCK)
            rows = drawn[(start - block * _BLOCK) * each : (stop - block * _BLOCK) * each]
            self.centers[(start - first) * each : (stop - first) * each] = rows.to(self.centers)


def people_of(people: int, group: Group) -> range:
    """Return the people of this process, of numbers that differ by one at most."""
    return range(people * group.rank // group.size, people * (group.rank + 1) // group.size)


class _Copied(torch.autograd.Function):
    """A tensor that every process uses: its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, group: Group) -> Tensor:
        ctx.group = group
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0].clone()
        ctx.group.sum(gradient)
        return gradient, None


class _Summed(torch.autograd.Function):
    """The sum over the processes, which all go on with: each part has the gradient of the sum."""

    @staticmethod
    def forward(_ctx: Any, tensor: Tensor, group: Group) -> Tensor:
        total = tensor.clone()
        group.sum(total)
        return total

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


def _copied(tensor: Tensor, group: Group) -> Tensor:
    copied: Tensor = _Copied.apply(tensor, group)  # type: ignore[no-untyped-call]
    return copied


def _summed(tensor: Tensor, group: Group) -> Tensor:
    total: Tensor = _Summed.apply(tensor, group)  # type: ignore[no-untyped-call]
    return total
