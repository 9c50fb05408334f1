"""
Large batches in little memory: a batch goes through the network in chunks, with the exact gradient of the whole.

A loss over triplets couples all faces of a batch, but its gradient with respect to the weights is a sum over faces:
(gradient at the face's vector) x (Jacobian of that vector). So the batch is first embedded without gradients, and mined
and judged as a whole; then only the faces whose gradient is not zero go through the network again, chunk by chunk
(Gao et al. 2021, "Scaling deep contrastive learning batch size under memory limited setup").
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
class GradCache:
    """
    Embeds batches and propagates gradients back; `model` is the embedder, or its DDP. A `chunk_size` of 0 is the batch.

    Faces are `coupled` where they share BatchNorm statistics, or where dropout depends on the position in the batch. A
    chunk then goes through again with the same faces as before, and the gradient is that of the chunks, not of one
    large batch.
    """

    embedder: Embedder
    model: nn.Module
    processes: Processes
    chunk_size: int
    precision: str
    seed: int
    coupled: bool

    def embed(self, views: Tensor, step: int) -> Tensor:
        """Return vectors (B, D) of uint8 views (B, H, W, 3); with a graph if the batch is a single chunk."""
        if not self._is_chunked(len(views)):
            return self._forward(self.model, views, step, 0)
        with torch.no_grad(), _restored_buffers(self.embedder):
            chunks = _split(views, self.chunk_size)
            return torch.cat([self._forward(self.embedder, chunk, step, k) for k, chunk in enumerate(chunks)])

    def backward(self, views: Tensor, vectors: Tensor, gradient: Tensor, step: int) -> None:
        """Add to the weights' gradients those that follow from `gradient` (B, D) at `vectors`, made by `embed`."""
        gradient = gradient * self.processes.size  # DDP averages, and the loss is of the joint batch
        if not self._is_chunked(len(views)):
            vectors.backward(gradient)  # type: ignore[no-untyped-call]
            return
        chunks = self._chunks(gradient)
        for k, faces in enumerate(chunks):
            is_last = k == len(chunks) - 1
            with nullcontext() if is_last else _no_sync(self.model):
                again = self._forward(self.model, views[faces], step, int(faces[0]) // self.chunk_size)
                again.backward(gradient[faces])  # type: ignore[no-untyped-call]

    def _chunks(self, gradient: Tensor) -> list[Tensor]:
        """Return the faces of each chunk of the second pass; at least one chunk, since DDP waits for every process."""
        needed = gradient.abs().sum(1).cpu() > 0  # (B,)
        if not self.coupled:
            faces = needed.nonzero().squeeze(1)
            return _split(faces if len(faces) else torch.tensor([0]), self.chunk_size)
        chunks = _split(torch.arange(len(gradient)), self.chunk_size)
        all_needed = self.processes.size > 1  # SyncBatchNorm waits for every process
        return [chunk for chunk in chunks if all_needed or needed[chunk].any()] or [chunks[0]]

    def _forward(self, model: nn.Module, views: Tensor, step: int, chunk: int) -> Tensor:
        torch.manual_seed(torch_seed(self.seed, Stream.DROPOUT, step, self.processes.rank, chunk))
        dtype, device = DTYPES[self.precision], self.processes.device
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            vectors: Tensor = model(views.to(device, non_blocking=True))  # at once, where the views are pinned
        return vectors

    def _is_chunked(self, faces: int) -> bool:
        return 0 < self.chunk_size < faces


def faces_are_coupled(network: nn.Module) -> bool:
    """Return whether a face's vector depends on the other faces of the batch, or on its position there."""
    coupling = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
    return any(layer.training and isinstance(layer, coupling) for layer in network.modules())


def _split(tensor: Tensor, size: int) -> list[Tensor]:
    return list(tensor.split(size))  # type: ignore[no-untyped-call]


@contextmanager
def _restored_buffers(module: nn.Module) -> Iterator[None]:
    """Restore the buffers, so that BatchNorm counts each face once, in the pass with gradients."""
    before = [buffer.clone() for buffer in module.buffers()]
    yield
    for buffer, value in zip(module.buffers(), before, strict=True):
        buffer.copy_(value)


@contextmanager
def _no_sync(model: nn.Module) -> Iterator[None]:
    with model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext():
        yield
