"""Dropout in the head of any network, without a change to the network."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from training.errors import TrainingError
from training.networks.embedder import FaceNetwork


class NoHead(TrainingError):
    """The last layer of the network is not a linear layer or convolution to the embedding."""


def drop_before_head(network: FaceNetwork, share: float) -> None:
    """
    Zero `share` of the inputs of the last layer, in training only (Srivastava et al. 2014). Raises NoHead.
    """
    if not share:
        return

    def drop(layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Tensor]:
        return (functional.dropout(inputs[0], share, layer.training),)

    _head(network).register_forward_pre_hook(drop)


def _head(network: FaceNetwork) -> nn.Module:
    size = network.embedding_size
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    if not layers or size not in (getattr(layers[-1], name, None) for name in ("out_features", "out_channels")):
        raise NoHead(f"network.dropout: {type(network).__name__} has no last layer of {size} outputs; set 0")
    return layers[-1]
