"""One process or several (`torchrun`): how a batch is divided, and how vectors and decisions are exchanged."""

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar, cast

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from training.config.schema import RunConfig
from training.errors import TrainingError

T = TypeVar("T")
_TIMEOUT = timedelta(hours=2)
"""The others wait while the main process computes a teacher's vectors of all faces."""


class UnusableDevice(TrainingError):
    """The config needs CUDA and there is none, or a batch cannot be divided evenly."""


@dataclass(frozen=True, slots=True)
class Processes:
    """This process's rank among `size` and its device. Each process takes an equal, contiguous shard of a batch."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_main(self) -> bool:
        """Return whether this process writes files, shows progress and evaluates."""
        return self.rank == 0

    def shard(self, count: int) -> slice:
        """Return the positions of a batch of `count` faces that are this process's."""
        if count % self.size:
            raise UnusableDevice(f"expected a batch that {self.size} processes can share evenly, got {count} faces")
        each = count // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    def all_gather(self, shard: Tensor) -> Tensor:
        """Return the shards (B / size, D) of all processes, concatenated: (B, D)."""
        if self.size == 1:
            return shard
        shards = [torch.empty_like(shard) for _ in range(self.size)]
        distributed.all_gather(shards, shard.contiguous())
        return torch.cat(shards)

    def all_reduce_mean(self, tensor: Tensor) -> None:
        """Replace the tensor by its mean over the processes."""
        if self.size > 1:
            distributed.all_reduce(tensor)
            tensor /= self.size

    def sum(self, tensor: Tensor) -> None:
        """Replace the tensor by its sum over the processes."""
        if self.size > 1:
            distributed.all_reduce(tensor)

    def max(self, tensor: Tensor) -> None:
        """Replace the tensor by its largest values over the processes."""
        if self.size > 1:
            distributed.all_reduce(tensor, distributed.ReduceOp.MAX)

    def gather_parts(self, part: Tensor, shapes: Sequence[Sequence[int]]) -> Tensor | None:
        """Return the parts of all processes, concatenated on the CPU, in the main process; None in the others."""
        if self.size == 1:
            return part
        parts = []
        for rank, shape in enumerate(shapes):
            sent = part.contiguous() if rank == self.rank else part.new_empty(shape)
            distributed.broadcast(sent, rank)
            if self.is_main:
                parts.append(sent.cpu())
        return torch.cat(parts) if self.is_main else None

    def any(self, flag: bool) -> bool:  # noqa: FBT001 - a Ctrl-C, not an option
        """Return whether the flag is set in any process, so that all of them act on it at the same step."""
        if self.size == 1:
            return flag
        flags = torch.tensor([float(flag)], device=self.device)
        distributed.all_reduce(flags)
        return bool(flags.item())

    def broadcast(self, value: T) -> T:
        """Return the main process's value in every process."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values)
        return values[0]

    def main_only(self, work: Callable[[], T]) -> T | None:
        """Return the main process's work, and None in the others; its TrainingError is everyone's."""
        done: T | None = None
        error: TrainingError | None = None
        if self.is_main:
            try:
                done = work()
            except TrainingError as raised:
                error = raised
        if (error := self.broadcast(error)) is not None:
            raise error
        return done

    def from_main(self, work: Callable[[], T]) -> T:
        """Return the main process's work in every process; its TrainingError is everyone's."""
        return cast("T", self.broadcast(self.main_only(work)))

    def barrier(self) -> None:
        """Wait until every process has come here."""
        if self.size > 1:
            distributed.barrier()

    def data_parallel(self, module: nn.Module) -> nn.Module:
        """Return the module itself, or one whose gradients are averaged over the processes (DDP)."""
        if self.size == 1:
            return module
        if self.device.type == "cuda":
            module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        return DistributedDataParallel(module)


def is_main_process() -> bool:
    """Return whether this process, perhaps one of several that `torchrun` started, is the one that prints."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def init_distributed(config: RunConfig) -> Iterator[Processes]:
    """Join the group that `torchrun` set up in the environment, or be a single process. Raises UnusableDevice."""
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    device = _device(config, int(os.environ.get("LOCAL_RANK", "0")))
    if config.precision == "float16" and device.type == "cpu":  # a step of 8 faces takes minutes there
        raise UnusableDevice("run.precision: float16 needs CUDA, got the CPU: set it to 'bfloat16' or 'float32'")
    if size == 1:
        yield Processes(device=device)
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_TIMEOUT)
    try:
        yield Processes(rank, size, device)
    finally:
        gc.collect()  # a group still referenced would end with the interpreter, which Gloo's threads then abort
        distributed.destroy_process_group()


def _device(config: RunConfig, index: int) -> torch.device:
    count = torch.cuda.device_count()
    if config.device == "cpu" or (config.device == "auto" and not count):
        return torch.device("cpu")
    if index >= count:
        raise UnusableDevice(f"run.device: expected CUDA device {index}, got {count} such devices: set it to 'cpu'")
    device = torch.device("cuda", index)
    torch.cuda.set_device(device)
    if config.gpu_memory_fraction < 1:
        torch.cuda.set_per_process_memory_fraction(config.gpu_memory_fraction, device)
    return device
