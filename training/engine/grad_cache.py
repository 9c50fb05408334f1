"""
A batch through the network, at once or in chunks, and a gradient at its vectors back to the weights.

A loss over triplets couples all faces of a batch, yet its gradient at the weights is the sum over faces of (gradient at
the face's vector) x (that vector's Jacobian). So a batch too large for memory is embedded without gradients, mined and
judged as a whole, and then only the faces whose gradient is not zero go through the network again, chunk by chunk
(Gao et al. 2021, "Scaling deep contrastive learning batch size under memory limited setup"). The sum is exact.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from training.engine.distributed import Processes
from training.networks.embedder import Embedder
from training.randomness import Stream, torch_seed

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True, eq=False)
class Passes:
    """
    `model` is the embedder, or its DDP. A `chunk` of 0 is the whole batch.

    Where faces are `coupled`, because they meet in a BatchNorm or dropout draws by place, a chunk goes through again
    with the faces it first had: the gradient is then that of the chunks, which no single big batch has.
    """

    embedder: Embedder
    model: nn.Module
    processes: Processes
    chunk: int
    precision: str
    seed: int
    coupled: bool

    def embed(self, views: Tensor, step: int) -> Tensor:
        """(B, D) of uint8 views (B, H, W, 3); with a graph where they are one chunk."""
        if not self._chunked(len(views)):
            return self._vectors(self.model, views, step, 0)
        with torch.no_grad(), _statistics_kept(self.embedder):
            parts = _split(views, self.chunk)
            return torch.cat([self._vectors(self.embedder, part, step, k) for k, part in enumerate(parts)])

    def descend(self, views: Tensor, vectors: Tensor, gradient: Tensor, step: int) -> None:
        """Add to the weights' gradients what `gradient` (B, D) at `vectors`, which `embed` gave, brings about."""
        gradient = gradient * self.processes.size  # DDP averages, and the loss is of the joint batch
        if not self._chunked(len(views)):
            vectors.backward(gradient)  # type: ignore[no-untyped-call]
            return
        chunks = self._chunks(gradient)
        for k, faces in enumerate(chunks):
            last = k == len(chunks) - 1
            with nullcontext() if last else _unsynchronised(self.model):
                again = self._vectors(self.model, views[faces], step, int(faces[0]) // self.chunk)
                again.backward(gradient[faces])  # type: ignore[no-untyped-call]

    def _chunks(self, gradient: Tensor) -> list[Tensor]:
        """Which faces go through again, together; never none, since DDP waits for every process."""
        needed = gradient.abs().sum(1).cpu() > 0  # (B,)
        if not self.coupled:
            faces = needed.nonzero().squeeze(1)
            return _split(faces if len(faces) else torch.tensor([0]), self.chunk)
        parts = _split(torch.arange(len(gradient)), self.chunk)
        everyone_waits = self.processes.size > 1  # in SyncBatchNorm
        return [part for part in parts if everyone_waits or needed[part].any()] or [parts[0]]

    def _vectors(self, model: nn.Module, views: Tensor, step: int, chunk: int) -> Tensor:
        torch.manual_seed(torch_seed(self.seed, Stream.DROPOUT, step, self.processes.rank, chunk))
        dtype, device = DTYPES[self.precision], self.processes.device
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            vectors: Tensor = model(views.to(device))
        return vectors

    def _chunked(self, faces: int) -> bool:
        return 0 < self.chunk < faces


def faces_are_coupled(network: nn.Module) -> bool:
    """Whether a face's vector depends on the other faces of the batch, or on its place there."""
    coupling = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
    return any(layer.training and isinstance(layer, coupling) for layer in network.modules())


def _split(tensor: Tensor, size: int) -> list[Tensor]:
    return list(tensor.split(size))  # type: ignore[no-untyped-call]


@contextmanager
def _statistics_kept(module: nn.Module) -> Iterator[None]:
    """BatchNorm counts each face once, when it goes through with gradients."""
    before = [buffer.clone() for buffer in module.buffers()]
    yield
    for buffer, value in zip(module.buffers(), before, strict=True):
        buffer.copy_(value)


@contextmanager
def _unsynchronised(model: nn.Module) -> Iterator[None]:
    with model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext():
        yield
