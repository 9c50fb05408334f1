"""Whole centers of a checkpoint, divided over any number of processes."""

import pytest
import torch

from tests.unit.training.losses.test_partial_fc import PEOPLE, SIZE, partial
from training.engine.checkpoints import State
from training.engine.distributed import Processes
from training.engine.divided_centers import DividedCenters
from training.losses.softmax_registry import SOFTMAX_LOSSES


@pytest.mark.parametrize("name", SOFTMAX_LOSSES)
def test_the_parts_of_three_processes_are_the_whole(name: str) -> None:
    each = partial(name, 1).softmax.centers_each
    whole = torch.arange(PEOPLE * each * SIZE, dtype=torch.float64).reshape(-1, SIZE)
    first, step = {"momentum_buffer": -whole}, torch.tensor(3.0)
    optimizer: State = {
        "param_groups": [{"params": [0]}, {"params": [1]}],
        "state": {0: first, 1: {"momentum_buffer": 2 * whole, "step": step}},
    }
    processes = [Processes(rank, 3) for rank in range(3)]
    divided = [DividedCenters(partial(name, 1, each), each) for each in processes]
    softmax = [each.own_softmax({"softmax.centers": whole, "t": step}) for each in divided]
    optimizers = [each.own_optimizer(optimizer) for each in divided]
    assert torch.equal(torch.cat([state["softmax.centers"] for state in softmax]), whole)
    assert torch.equal(torch.cat([state["state"][1]["momentum_buffer"] for state in optimizers]), 2 * whole)
    for own, state, of_optimizer in zip(divided, softmax, optimizers, strict=True):
        assert state["softmax.centers"].shape == own.softmax.centers.shape
        assert state["t"] is step
        assert of_optimizer["state"][0] is first
        assert of_optimizer["state"][1]["step"] is step


def test_an_optimizer_that_keeps_nothing_yet_stays_as_it_is() -> None:
    alone = DividedCenters(partial("arcface", 1), Processes())
    fresh: State = {"param_groups": [{"params": [0, 1]}], "state": {}}
    assert alone.own_optimizer(fresh) == alone.whole_optimizer(fresh) == fresh
