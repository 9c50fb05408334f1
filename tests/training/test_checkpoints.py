from pathlib import Path

import pytest
import torch

from training import checkpoints
from training.checkpoints import NotSaved, UnusableCheckpoint


def test_the_newest_checkpoint_is_read_and_the_one_before_is_kept(tmp_path: Path) -> None:
    for step in range(3):
        checkpoints.save(tmp_path, {"step": step, "network": {"w": torch.full((2,), step)}})

    assert checkpoints.load(tmp_path)["step"] == 2
    assert torch.load(tmp_path / "checkpoint.previous.pt", weights_only=True)["step"] == 1
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint.pt", "checkpoint.previous.pt"}


@pytest.mark.parametrize("length", [0, 10, 300])
def test_a_torn_checkpoint_gives_way_to_the_one_before(tmp_path: Path, length: int) -> None:
    checkpoints.save(tmp_path, {"step": 1})
    current = checkpoints.save(tmp_path, {"step": 2})
    current.write_bytes(current.read_bytes()[:length])

    assert checkpoints.load(tmp_path)["step"] == 1


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    checkpoints.save(tmp_path, {"step": 1})
    monkeypatch.setattr(checkpoints.os, "fsync", full)

    with pytest.raises(NotSaved, match="No space left"):
        checkpoints.save(tmp_path, {"step": 2})
    assert checkpoints.load(tmp_path)["step"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_where_there_is_none_the_message_names_the_folder(tmp_path: Path) -> None:
    assert not checkpoints.exists(tmp_path)
    with pytest.raises(UnusableCheckpoint, match=f"no checkpoint to resume from in {tmp_path}"):
        checkpoints.load(tmp_path)


def test_where_none_can_be_read_the_message_says_why(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"not a checkpoint")

    with pytest.raises(UnusableCheckpoint, match=r"checkpoint\.pt cannot be read"):
        checkpoints.load(tmp_path)
