import math
from typing import Any

import pytest
import torch
from torch import nn

from training.config.optimizer import OptimizerConfig
from training.engine.optimizers import build_optimizer, weight_average

RATE = 0.5
FIRST_STEP = {
    "sgd": 2.0 * RATE,
    "adagrad": 2.0 / math.sqrt(0.1 + 4.0) * RATE,
    "adadelta": 2.0 * math.sqrt(1e-6) / math.sqrt(0.1 * 4.0 + 1e-6) * RATE,
    "adam": RATE,
    "adamw": RATE,
    "rmsprop": 2.0 / math.sqrt(0.01 * 4.0) * RATE,
}


def one_step(name: str, weight_decay: float = 0, *, gradient: float = 2.0, **options: Any) -> float:
    """Return how far a weight of 1 moves."""
    weight = nn.Parameter(torch.ones(1))
    config = OptimizerConfig.model_validate({"name": name, "lr": RATE, "weight_decay": weight_decay, **options})
    weight.grad = torch.tensor([gradient])
    build_optimizer([weight], config).step()
    return 1 - weight.item()


@pytest.mark.parametrize("name", FIRST_STEP)
def test_the_first_step_is_that_of_the_textbook(name: str) -> None:
    assert one_step(name, 0) == pytest.approx(FIRST_STEP[name], rel=1e-4)


def test_weight_decay_is_part_of_the_gradient_except_in_adamw() -> None:
    assert one_step("sgd", 0.1) == pytest.approx(2.1 * RATE)
    assert one_step("adam", 0.1) == pytest.approx(RATE, rel=1e-4)
    assert one_step("adamw", 0.1) == pytest.approx(RATE + 0.1 * RATE, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "options", "moved"),
    [
        ("adam", {"epsilon": 0.1}, 2.0 / (2.0 + 0.1) * RATE),
        ("rmsprop", {"epsilon": 1, "rho": 0.9}, 2.0 / (math.sqrt(0.1 * 4.0) + 1) * RATE),
        ("sgd", {"nesterov": True}, 2.0 * 1.9 * RATE),
        ("adadelta", {"rho": 0.5}, 2.0 * math.sqrt(1e-6) / math.sqrt(0.5 * 4.0 + 1e-6) * RATE),
    ],
)
def test_the_constants_of_facenets_optimizers_can_be_set(name: str, options: dict[str, Any], moved: float) -> None:
    assert one_step(name, **options) == pytest.approx(moved, rel=1e-4)


def test_adam_magnifies_the_rounding_of_a_gradient_near_zero_unless_epsilon_is_larger() -> None:
    """The reason why two processes with Adam end with other weights than one (docs/training.md)."""
    rounding = 1e-7

    def gap(name: str, **options: Any) -> float:
        return abs(one_step(name, gradient=rounding, **options) - one_step(name, gradient=-rounding, **options))

    assert gap("adam") > 1.5 * RATE
    assert gap("adam", epsilon=0.1) < 1e-5 * RATE
    assert gap("sgd") < 1e-6 * RATE


def test_the_average_of_weights_ramps_up_to_its_decay() -> None:
    layer = nn.BatchNorm1d(1)
    average = weight_average(layer, 0.9)
    naive = 1.0
    for update in range(1, 200):
        with torch.no_grad():
            layer.weight.fill_(float(update % 3))
        layer.get_buffer("num_batches_tracked").fill_(update)
        average.update_parameters(layer)
        decay = min(0.9, (1 + update) / (10 + update))
        naive = decay * naive + (1 - decay) * (update % 3)
    assert average.module.get_parameter("weight").item() == pytest.approx(naive, rel=1e-5)
    assert average.module.get_buffer("num_batches_tracked").item() == 199
    assert layer.weight.item() == 199 % 3


def test_an_average_resumes_from_its_state_dict() -> None:
    layer = nn.Linear(2, 2)
    before, after = weight_average(layer, 0.5), weight_average(nn.Linear(2, 2), 0.5)
    before.update_parameters(nn.Linear(2, 2))
    after.load_state_dict(before.state_dict())
    assert int(after.n_averaged) == 2
    assert torch.equal(after.module.get_parameter("weight"), before.module.get_parameter("weight"))
