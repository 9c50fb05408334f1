"""Checkpoints of a run, written atomically; the ones before are kept, two in all unless the config says more."""

import errno
import io
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from training.errors import TrainingError

CURRENT = "checkpoint.pt"
PREVIOUS = "checkpoint.previous.pt"
_OLDER = "checkpoint.previous-{}.pt"

_DAMAGE = (pickle.UnpicklingError, RuntimeError, EOFError, LookupError, ValueError, TypeError, AttributeError)
"""The errors of torch.load for files that are torn or overwritten, depending on where."""

State = dict[str, Any]


class UnusableCheckpoint(TrainingError):
    """There is no checkpoint, or it belongs to another run."""


class NotSaved(TrainingError):
    """The disk is full or cannot be written; the files that were there before are intact."""


def write(path: Path, state: object) -> None:
    """Save tensors and plain values. After a crash or a full disk (NotSaved) `path` is unchanged or complete."""
    fresh = path.with_name(path.name + ".tmp")
    buffer = io.BytesIO()
    torch.save(state, buffer)
    try:
        with fresh.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        megabytes = buffer.getbuffer().nbytes / 1e6
        raise NotSaved(
            f"cannot write the {megabytes:.1f} MB of {path}: {error.strerror}; make room, then go on with --resume: "
            "the checkpoint before is intact"
        ) from error
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    _sync(path.parent)


@contextmanager
def report_full_disk(folder: Path) -> Iterator[None]:
    """Raise NotSaved where the disk is full, for other files than checkpoints such as TensorBoard's."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise NotSaved(
            f"cannot write in {folder}: {error.strerror}; make room, then go on with --resume if a step was saved"
        ) from error


def save(folder: Path, state: State, keep: int = 2) -> Path:
    """Write the newest checkpoint and keep `keep` in all; older ones are moved only after this one is complete."""
    fresh = folder / "checkpoint.new.pt"
    write(fresh, state)
    kept = [folder / name for name in _names(keep)]
    for path, older in reversed(list(pairwise(kept))):
        if path.exists():
            path.replace(older)
    fresh.replace(kept[0])
    for path in _all(folder)[keep:]:
        path.unlink()
    _sync(folder)
    return kept[0]


def _names(count: int) -> list[str]:
    """Return the names of the newest checkpoints, the newest first."""
    return [CURRENT, PREVIOUS, *(_OLDER.format(age) for age in range(2, count))][:count]


def _all(folder: Path) -> list[Path]:
    """Return the checkpoints that are there, the newest first."""
    older = len(list(folder.glob(_OLDER.format("*"))))
    return [path for name in _names(2 + older) if (path := folder / name).exists()]


def load(folder: Path) -> State:
    """Return the newest readable checkpoint. Raises UnusableCheckpoint."""
    damage = []
    for path in _all(folder):
        try:
            state: State = torch.load(path, map_location="cpu", weights_only=True)
        except _DAMAGE as error:
            damage.append(f"{path.name} cannot be read: {error}")
        else:
            return state
    raise UnusableCheckpoint(f"no checkpoint to resume from in {folder}" + "".join(f"; {one}" for one in damage))


def exists(folder: Path) -> bool:
    return bool(_all(folder))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
