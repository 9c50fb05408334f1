import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.unit.training.support import changed, weights
from training.config.schema import TrainConfig
from training.engine import trainer
from training.engine.distributed import Processes, UnusableDevice, init_distributed

REPOSITORY = Path(__file__).resolve().parents[4]


def run_by_two(config: TrainConfig, folder: Path) -> Path:
    """Train in two processes, started by `torchrun`, and return the output."""
    folder.mkdir()
    (folder / "config.json").write_text(config.model_dump_json(), encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [
        *torchrun,
        "-m",
        "tests.unit.training.engine.two_processes",
        str(folder / "config.json"),
        str(folder / "run"),
    ]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.mark.slow
def test_two_processes_end_with_the_weights_of_one_on_the_joint_batch(config: TrainConfig, tmp_path: Path) -> None:
    config = changed(changed(config, "pretraining", steps=2), "batch", chunk_size=2, people=4)
    config = changed(changed(config, "evaluation", every=3, held_out=0.34), "optimizer", ema_decay=0.9)
    alone = weights(trainer.train(config, tmp_path / "alone", resume=False))
    together = run_by_two(config, tmp_path / "two")
    for name, value in weights(together / "network.pt").items():
        torch.testing.assert_close(value, alone[name], atol=1e-6, rtol=1e-5)
    facts = json.loads((together / "run.json").read_text())
    assert [one["step"] for one in facts["evaluation"]["all"]] == [3, 6]


def test_a_batch_that_cannot_be_shared_evenly_is_refused() -> None:
    assert Processes(rank=1, size=2).shard(6) == slice(3, 6)
    with pytest.raises(UnusableDevice, match="4 processes can share evenly, got 6 faces"):
        Processes(rank=1, size=4).shard(6)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")
def test_missing_cuda_is_an_error_instead_of_the_cpu(config: TrainConfig) -> None:
    with (
        pytest.raises(UnusableDevice, match=r"run\.device: expected CUDA device 0, got 0 such devices"),
        init_distributed(changed(config, "run", device="cuda").run),
    ):
        pass
