"""Interpolation between the starting weights and the trained ones."""

import json

import pytest
import torch

from training.engine import trainer, weight_interpolation
from training.errors import TrainingError
from training.networks.registry import build
from training.networks.weights import load_state


@pytest.fixture
def trained(config, tmp_path):
    trainer.train(config, tmp_path / "run", resume=False)
    return tmp_path / "run"


def state(path):
    return torch.load(path, weights_only=True)


def test_a_share_of_one_half_is_the_mean_of_start_and_end(trained, tiny, tmp_path):
    blended, start, end = (
        state(weight_interpolation.interpolate(trained, tmp_path / "half", 0.5)),
        state(tiny),
        state(trained / "network.pt"),
    )
    assert not torch.equal(start["conv.weight"], end["conv.weight"])
    torch.testing.assert_close(blended["conv.weight"], (start["conv.weight"] + end["conv.weight"]) / 2)


@pytest.mark.parametrize(("share", "which"), [(0.0, "start"), (1.0, "end")])
def test_shares_of_0_and_1_are_start_and_end(trained, tiny, tmp_path, share, which):
    blended = state(weight_interpolation.interpolate(trained, tmp_path / "blended", share))
    expected = {"start": state(tiny), "end": state(trained / "network.pt")}[which]
    torch.testing.assert_close(blended["last.weight"], expected["last.weight"])


def test_an_interpolated_run_records_its_origin(trained, tmp_path):
    weight_interpolation.interpolate(trained, tmp_path / "blended", 0.25)
    facts = json.loads((tmp_path / "blended" / "run.json").read_text())
    assert facts["blend"] == {"share": 0.25, "of": "run", "with": "tiny.pt"}
    load_state(build("tiny", 8), tmp_path / "blended" / "network.pt")


def test_a_run_from_scratch_has_nothing_to_blend_with(trained, tmp_path):
    facts = json.loads((trained / "run.json").read_text())
    facts["config"]["network"]["weights"] = None
    (trained / "run.json").write_text(json.dumps(facts))
    with pytest.raises(TrainingError, match="from scratch"):
        weight_interpolation.interpolate(trained, tmp_path / "blended", 0.5)
