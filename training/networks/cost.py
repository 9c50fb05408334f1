"""
The cost of a network: parameters and multiply-adds of each of its children, counted by hooks in a forward pass.

A multiply-add is one use of a weight; a bias counts as one more, as in tables 1 and 2 of the FaceNet paper. Only
convolutions and linear layers count. On the meta device (`with torch.device("meta")`) nothing is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

CountedLayer = nn.Conv2d | nn.Linear


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one image; `output` is the shape without the batch."""

    name: str
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int


@torch.inference_mode()
def table(network: nn.Module, height: int, width: int | None = None) -> list[Cost]:
    """
    Return a row for every direct child, in the order of first use; a list of modules has a row for each.

    `height` and `width` are the image's.
    """
    rows: dict[str, Cost] = {}
    device = next(network.parameters()).device
    training = network.training
    with _counting(network, rows):
        network.eval()(torch.zeros(1, 3, height, width or height, device=device))
    network.train(training)
    return list(rows.values())


def total(rows: Sequence[Cost]) -> tuple[int, int]:
    """Return the sums of parameters and of multiply-adds."""
    return sum(row.parameters for row in rows), sum(row.multiply_adds for row in rows)


@contextmanager
def _counting(network: nn.Module, rows: dict[str, Cost]) -> Iterator[None]:
    hooks = []
    for name, child in _parts(network):
        counter = _Counter(name, child, rows)
        hooks += [
            each.register_forward_hook(counter.count) for each in child.modules() if isinstance(each, CountedLayer)
        ]
        hooks.append(child.register_forward_hook(counter.record))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _parts(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the direct children, and instead of a ModuleList, which is never called, those in it."""
    for name, child in network.named_children():
        if isinstance(child, nn.ModuleList):
            yield from ((f"{name}.{number}", each) for number, each in enumerate(child))
        else:
            yield name, child


class _Counter:
    """Adds up the multiply-adds of one child."""

    def __init__(self, name: str, child: nn.Module, rows: dict[str, Cost]) -> None:
        self._name, self._rows, self._multiply_adds = name, rows, 0
        self._parameters = sum(part.numel() for part in child.parameters())

    def count(self, layer: CountedLayer, _inputs: object, output: Tensor) -> None:
        self._multiply_adds += multiply_adds(layer, output)

    def record(self, _child: nn.Module, _inputs: object, output: Tensor) -> None:
        self._rows[self._name] = Cost(self._name, tuple(output.shape[1:]), self._parameters, self._multiply_adds)


def multiply_adds(layer: CountedLayer, output: Tensor) -> int:
    """Return those of one image: each number of `output` (1, ...) takes the weights of its channel, and the bias."""
    each = layer.weight[0].numel() + (layer.bias is not None)
    return each * output[0].numel()
