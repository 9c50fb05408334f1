"""The optimisers by name, and the moving average of weights."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from training.config.schema import OptimiserConfig

Make = Callable[[list[nn.Parameter], OptimiserConfig], Optimizer]


def optimiser(parameters: Iterable[nn.Parameter], config: OptimiserConfig) -> Optimizer:
    return _MAKE[config.name](list(parameters), config)


def _sgd(parameters: list[nn.Parameter], config: OptimiserConfig) -> Optimizer:
    return torch.optim.SGD(parameters, config.learning_rate, momentum=config.momentum, weight_decay=config.weight_decay)


def _adagrad(parameters: list[nn.Parameter], config: OptimiserConfig) -> Optimizer:
    """FaceNet's (Duchi et al. 2011), begun at 0.1 as in davidsandberg/facenet: from 0, the first step is a leap."""
    return torch.optim.Adagrad(
        parameters, config.learning_rate, weight_decay=config.weight_decay, initial_accumulator_value=0.1
    )


def _adam(parameters: list[nn.Parameter], config: OptimiserConfig) -> Optimizer:
    return torch.optim.Adam(parameters, config.learning_rate, config.betas, weight_decay=config.weight_decay)


def _adamw(parameters: list[nn.Parameter], config: OptimiserConfig) -> Optimizer:
    return torch.optim.AdamW(parameters, config.learning_rate, config.betas, weight_decay=config.weight_decay)


def _rmsprop(parameters: list[nn.Parameter], config: OptimiserConfig) -> Optimizer:
    return torch.optim.RMSprop(
        parameters, config.learning_rate, momentum=config.momentum, weight_decay=config.weight_decay
    )


_MAKE: dict[str, Make] = {"sgd": _sgd, "adagrad": _adagrad, "adam": _adam, "adamw": _adamw, "rmsprop": _rmsprop}


class WeightAverage:
    """
    Exponential moving average of a network's weights and statistics (Polyak and Juditsky 1992).

    After n updates the decay is at most (1 + n) / (10 + n), so that the random start is soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay, self.updates = decay, 0
        self.state = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, value in network.state_dict().items():
            mean = self.state[name]
            mean.copy_(value.lerp(mean, decay) if value.is_floating_point() else value)

    def contents(self) -> dict[str, int | dict[str, Tensor]]:
        return {"updates": self.updates, "state": self.state}

    def restore(self, updates: int, state: dict[str, Tensor]) -> None:
        self.updates = updates
        for name, value in state.items():
            self.state[name].copy_(value)
