"""Interpolation between the starting weights and the trained ones."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from tests.unit.training.support import weights
from training.cli.main import cli
from training.config.schema import TrainConfig
from training.engine import trainer
from training.engine.weight_interpolation import interpolate
from training.errors import TrainingError
from training.networks.registry import build
from training.networks.weights import load_state


@pytest.fixture
def trained(config: TrainConfig, tmp_path: Path) -> Path:
    trainer.train(config, tmp_path / "run", resume=False)
    return tmp_path / "run"


def test_the_weights_lie_between_start_and_end(trained: Path, tiny: Path, tmp_path: Path) -> None:
    start, end = weights(tiny)["conv.weight"], weights(trained / "network.pt")["conv.weight"]
    assert not torch.equal(start, end)
    for share, expected in ((0.0, start), (0.5, (start + end) / 2), (1.0, end)):
        torch.testing.assert_close(weights(interpolate(trained, tmp_path / "half", share))["conv.weight"], expected)


def test_an_interpolated_run_records_its_origin(trained: Path, tmp_path: Path) -> None:
    command = ["blend", str(trained), "--output", str(tmp_path / "blended"), "--share", "0.25"]
    done = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert done.output == f"weights in {tmp_path / 'blended' / 'network.pt'}\n"
    record = json.loads((tmp_path / "blended" / "run.json").read_text())
    assert record["blend"] == {"share": 0.25, "of": "run", "with": "tiny.pt"}
    load_state(build("tiny", 8), tmp_path / "blended" / "network.pt")


def test_a_run_from_scratch_is_refused(trained: Path, tmp_path: Path) -> None:
    record = json.loads((trained / "run.json").read_text())
    record["config"]["network"]["weights"] = None
    (trained / "run.json").write_text(json.dumps(record))
    with pytest.raises(TrainingError, match="from scratch"):
        interpolate(trained, tmp_path / "blended", 0.5)
