"""One process or several (`torchrun`): which faces are whose, and how vectors and decisions are shared."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from training.config.schema import RunConfig
from training.errors import TrainingError

T = TypeVar("T")
_LONGEST_WAIT = timedelta(hours=2)
"""For what the first process does alone: a teacher's vectors of all faces."""


class UnusableDevice(TrainingError):
    """CUDA was asked for and is not there, or a batch cannot be shared evenly."""


@dataclass(frozen=True, slots=True)
class Processes:
    """This process's place among `size`, and its device. Each takes an equal, contiguous part of a batch."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this is the one that writes, draws and evaluates."""
        return self.rank == 0

    def part(self, count: int) -> slice:
        """The places of a batch of `count` that are this process's."""
        if count % self.size:
            raise UnusableDevice(f"want a batch that {self.size} processes can share evenly, got {count} faces")
        each = count // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    def gather(self, part: Tensor) -> Tensor:
        """All processes' parts (B / size, D), side by side: (B, D)."""
        if self.size == 1:
            return part
        parts = [torch.empty_like(part) for _ in range(self.size)]
        distributed.all_gather(parts, part.contiguous())
        return torch.cat(parts)

    def mean(self, tensor: Tensor) -> None:
        """Replace the tensor by its mean over the processes."""
        if self.size > 1:
            distributed.all_reduce(tensor)
            tensor /= self.size

    def any(self, flag: bool) -> bool:  # noqa: FBT001 - a Ctrl-C, not an option
        """Whether the flag is up in some process: what all of them then obey at the same step."""
        if self.size == 1:
            return flag
        flags = torch.tensor([float(flag)], device=self.device)
        distributed.all_reduce(flags)
        return bool(flags.item())

    def share(self, value: T) -> T:
        """The first process's value, in all."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values)
        return values[0]

    def wait(self) -> None:
        """Until all are here."""
        if self.size > 1:
            distributed.barrier()

    def parallel(self, module: nn.Module) -> nn.Module:
        """The module itself, or one whose gradients are averaged over the processes (DDP)."""
        if self.size == 1:
            return module
        if self.device.type == "cuda":
            module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        return DistributedDataParallel(module)


@contextmanager
def joined(config: RunConfig) -> Iterator[Processes]:
    """As `torchrun` says in the environment; alone without it. UnusableDevice where there is no such device."""
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    device = _device(config.device, int(os.environ.get("LOCAL_RANK", "0")))
    if size == 1:
        yield Processes(device=device)
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_LONGEST_WAIT)
    try:
        yield Processes(rank, size, device)
    finally:
        gc.collect()  # a group that something still holds ends with the interpreter, and Gloo's threads then abort it
        distributed.destroy_process_group()


def _device(wanted: str, place: int) -> torch.device:
    there = torch.cuda.device_count()
    if wanted == "cpu" or (wanted == "auto" and not there):
        return torch.device("cpu")
    if place >= there:
        raise UnusableDevice(f"run.device: want CUDA device {place}, got {there} such devices: set it to 'cpu'")
    device = torch.device("cuda", place)
    torch.cuda.set_device(device)
    return device
