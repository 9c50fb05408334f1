"""Gradient checkpointing: less memory for a second forward pass of each block."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint

from training.errors import TrainingError
from training.networks.embedder import FaceNetwork


class NoBlocks(TrainingError):
    """The network consists of single layers, whose inputs are kept anyway."""


def checkpoint_blocks(network: FaceNetwork) -> None:
    """
    Keep only the inputs of each block for the backward pass, which computes the rest of it again (Chen et al. 2016).

    Losses, gradients and BatchNorm statistics stay equal to the bit: dropout is drawn again from the same state, and
    the second pass leaves the statistics as they are. Raises NoBlocks.
    """
    blocks = list(_blocks(network))
    if not blocks:
        raise NoBlocks(f"run.gradient_checkpointing: {type(network).__name__} has no blocks of layers; set false")
    for block in blocks:
        contexts = partial(_contexts, block)
        block.forward = partial(checkpoint, block.forward, use_reentrant=False, context_fn=contexts)


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the children that have children themselves; those of a list of blocks, or of a wrapper, one by one."""
    children = [child for child in module.children() if list(child.children())]
    for child in children:
        is_list = isinstance(child, nn.Sequential | nn.ModuleList)
        if (is_list or len(children) == 1) and any(list(each.children()) for each in child.children()):
            yield from _blocks(child)
        else:
            yield child


def _contexts(block: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _restored_buffers(block)


@contextmanager
def _restored_buffers(block: nn.Module) -> Iterator[None]:
    """Restore the buffers, also where the second pass stops early, as soon as it has what backward needs."""
    before = [buffer.clone() for buffer in block.buffers()]
    try:
        yield
    finally:
        for buffer, value in zip(block.buffers(), before, strict=True):
            buffer.copy_(value)
