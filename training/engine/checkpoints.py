"""A run on disk: written whole or not at all, and the one before it is kept."""

import errno
import io
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from training.errors import TrainingError

CURRENT = "checkpoint.pt"
PREVIOUS = "checkpoint.previous.pt"

Contents = dict[str, Any]


class UnusableCheckpoint(TrainingError):
    """There is none, or it belongs to another run."""


class NotSaved(TrainingError):
    """The disk is full, or cannot be written; what was there before is whole."""


def write(path: Path, contents: object) -> None:
    """Save tensors and plain values; after a crash or a full disk (NotSaved) `path` is as it was, or complete."""
    fresh = path.with_name(path.name + ".tmp")
    buffer = io.BytesIO()
    torch.save(contents, buffer)
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
            "the checkpoint before is whole"
        ) from error
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    _sync(path.parent)


@contextmanager
def full_disk_told(folder: Path) -> Iterator[None]:
    """Of other files than checkpoints, such as TensorBoard's: NotSaved where the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        told = f"cannot write in {folder}: {error.strerror}; make room, then go on with --resume if a step was saved"
        raise NotSaved(told) from error


def save(folder: Path, contents: Contents) -> Path:
    """The checkpoint that was the newest becomes the previous one only once this one is complete."""
    fresh = folder / "checkpoint.new.pt"
    write(fresh, contents)
    if (current := folder / CURRENT).exists():
        current.replace(folder / PREVIOUS)
    fresh.replace(current)
    _sync(folder)
    return current


def load(folder: Path) -> Contents:
    """The newest readable checkpoint; UnusableCheckpoint where there is none."""
    damage = []
    for path in (folder / CURRENT, folder / PREVIOUS):
        try:
            contents: Contents = torch.load(path, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            continue
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            damage.append(f"{path.name} cannot be read: {error}")
        else:
            return contents
    raise UnusableCheckpoint(f"no checkpoint to resume from in {folder}" + "".join(f"; {one}" for one in damage))


def exists(folder: Path) -> bool:
    return any((folder / name).exists() for name in (CURRENT, PREVIOUS))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
