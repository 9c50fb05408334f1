import errno
import os
import resource
from pathlib import Path

import pytest
import torch

from training.engine import checkpoints
from training.engine.checkpoints import NotSaved, UnusableCheckpoint


def test_the_newest_checkpoint_is_read_and_the_previous_one_kept(tmp_path: Path) -> None:
    for step in range(3):
        checkpoints.save(tmp_path, {"step": step, "network": {"w": torch.full((2,), step)}})
    assert checkpoints.load(tmp_path)["step"] == 2
    assert torch.load(tmp_path / "checkpoint.previous.pt", weights_only=True)["step"] == 1
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint.pt", "checkpoint.previous.pt"}


@pytest.mark.parametrize("keep", [1, 3, 4])
def test_so_many_checkpoints_are_kept(tmp_path: Path, keep: int) -> None:
    for step in range(1, 7):
        checkpoints.save(tmp_path, {"step": step}, keep)
    steps = [torch.load(path, weights_only=True)["step"] for path in tmp_path.iterdir()]
    assert sorted(steps) == list(range(7 - keep, 7))
    (tmp_path / "checkpoint.pt").write_bytes(b"torn")
    if keep > 1:
        (tmp_path / "checkpoint.previous.pt").write_bytes(b"torn as well")
        assert checkpoints.load(tmp_path)["step"] == 4
    checkpoints.save(tmp_path, {"step": 9}, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize("length", [0, 10, 300])
def test_a_torn_checkpoint_falls_back_to_the_previous_one(tmp_path: Path, length: int) -> None:
    checkpoints.save(tmp_path, {"step": 1})
    current = checkpoints.save(tmp_path, {"step": 2})
    current.write_bytes(current.read_bytes()[:length])
    assert checkpoints.load(tmp_path)["step"] == 1


def test_a_full_disk_leaves_the_files_that_were_there(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, {"step": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(NotSaved, match=r"cannot write the 0\.4 MB of .*: File too large; make room, then go on"):
            checkpoints.save(tmp_path, {"step": 2, "weights": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert checkpoints.load(tmp_path)["step"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_an_interrupt_leaves_the_checkpoint_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints.save(tmp_path, {"step": 1})

    def interrupt(_descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save(tmp_path, {"step": 2})
    assert checkpoints.load(tmp_path)["step"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize(
    ("number", "raised", "message"),
    [
        (errno.ENOSPC, NotSaved, "cannot write in .*: No space left on device; make room, then go on with --resume"),
        (errno.EACCES, PermissionError, "Permission denied"),
    ],
)
def test_only_a_full_disk_asks_for_room(tmp_path: Path, number: int, raised: type[Exception], message: str) -> None:
    with pytest.raises(raised, match=message), checkpoints.report_full_disk(tmp_path):
        raise OSError(number, os.strerror(number))


def test_a_missing_or_unreadable_checkpoint_is_named(tmp_path: Path) -> None:
    assert not checkpoints.exists(tmp_path)
    with pytest.raises(UnusableCheckpoint, match=f"no checkpoint to resume from in {tmp_path}"):
        checkpoints.load(tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(UnusableCheckpoint, match=r"checkpoint\.pt cannot be read"):
        checkpoints.load(tmp_path)
