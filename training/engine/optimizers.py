"""The optimizers by name, and the moving average of weights."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from training.config.optimizer import OptimizerConfig

MakeOptimizer = Callable[[list[nn.Parameter], OptimizerConfig], Optimizer]


def build_optimizer(parameters: Iterable[nn.Parameter], config: OptimizerConfig) -> Optimizer:
    return OPTIMIZERS[config.name](list(parameters), config)


def _sgd(parameters: list[nn.Parameter], config: OptimizerConfig) -> Optimizer:
    momentum, decay = config.momentum, config.weight_decay
    return torch.optim.SGD(parameters, config.lr, momentum=momentum, weight_decay=decay, nesterov=config.nesterov)


def _adagrad(parameters: list[nn.Parameter], config: OptimizerConfig) -> Optimizer:
    """Start the accumulator at 0.1, as davidsandberg/facenet does: from 0, the first step would be far too long."""
    return torch.optim.Adagrad(parameters, initial_accumulator_value=0.1, **_common(config))


def _adadelta(parameters: list[nn.Parameter], config: OptimizerConfig) -> Optimizer:
    return torch.optim.Adadelta(parameters, rho=_or(config.rho, 0.9), **_common(config))


def _adam(parameters: list[nn.Parameter], config: OptimizerConfig) -> Optimizer:
    return torch.optim.Adam(parameters, betas=config.betas, **_common(config))


def _adamw(parameters: list[nn.Parameter], config: OptimizerConfig) -> Optimizer:
    return torch.optim.AdamW(parameters, betas=config.betas, **_common(config))


def _rmsprop(parameters: list[nn.Parameter], config: OptimizerConfig) -> Optimizer:
    return torch.optim.RMSprop(parameters, alpha=_or(config.rho, 0.99), momentum=config.momentum, **_common(config))


def _common(config: OptimizerConfig) -> dict[str, Any]:
    """Return the options that all optimizers but SGD have."""
    epsilon = {} if config.epsilon is None else {"eps": config.epsilon}
    return {"lr": config.lr, "weight_decay": config.weight_decay, **epsilon}


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


OPTIMIZERS: dict[str, MakeOptimizer] = {
    "sgd": _sgd,
    "adagrad": _adagrad,
    "adadelta": _adadelta,
    "adam": _adam,
    "adamw": _adamw,
    "rmsprop": _rmsprop,
}


def weight_average(network: nn.Module, decay: float) -> AveragedModel:
    """
    Return an exponential moving average of weights and BatchNorm statistics (Polyak and Juditsky 1992).

    After n updates the decay is at most (1 + n) / (10 + n), so that the random start is soon forgotten.
    """

    def update(mean: Tensor, value: Tensor, updates: Tensor | int) -> Tensor:
        if not value.is_floating_point():
            return value
        n = torch.as_tensor(updates, device=value.device)  # a tensor, since reading it would wait for the GPU
        return value.lerp(mean, ((1 + n) / (10 + n)).clamp(max=decay))

    average = AveragedModel(network, avg_fn=update, use_buffers=True)
    average.n_averaged.fill_(1)  # otherwise the first update would replace the start instead of averaging with it
    return average
