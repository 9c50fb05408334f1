import resource
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from training.engine import checkpoints
from training.engine.checkpoints import NotSaved, UnusableCheckpoint

REPOSITORY = Path(__file__).resolve().parents[3]


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


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
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


def test_a_tiny_disk_that_is_really_full_leaves_what_was_there(tmp_path: Path) -> None:
    script = f"""
from pathlib import Path
import torch
from training import checkpoints
folder = Path({str(tmp_path)!r})
checkpoints.save(folder, {{"step": 1}})
try:
    checkpoints.save(folder, {{"step": 2, "weights": torch.zeros(1_000_000)}})
except checkpoints.NotSaved as full:
    print(full, checkpoints.load(folder)["step"], [path.name for path in folder.iterdir()])
"""
    shell = f"mount -t tmpfs -o size=1m none {tmp_path} && exec {sys.executable} -c {shlex.quote(script)}"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", shell], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if done.stderr.startswith(("unshare", "mount")):
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")

    assert "No space left on device; make room" in done.stdout, done.stderr
    assert done.stdout.endswith("1 ['checkpoint.pt']\n")


def test_where_there_is_none_the_message_names_the_folder(tmp_path: Path) -> None:
    assert not checkpoints.exists(tmp_path)
    with pytest.raises(UnusableCheckpoint, match=f"no checkpoint to resume from in {tmp_path}"):
        checkpoints.load(tmp_path)


def test_where_none_can_be_read_the_message_says_why(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"not a checkpoint")

    with pytest.raises(UnusableCheckpoint, match=r"checkpoint\.pt cannot be read"):
        checkpoints.load(tmp_path)
