"""The networks by name."""

from collections.abc import Callable

import torch

from training.errors import TrainingError
from training.networks.embedder import FaceNetwork
from training.networks.inception import NN2, NN3, NN4
from training.networks.inception_resnet_v1 import InceptionResnetV1
from training.networks.mini_inception import NNS1, NNS2
from training.networks.mobilefacenet import MobileFaceNet
from training.networks.small_resnet import SmallResNet
from training.networks.timm_backbone import PREFIX, TimmBackbone
from training.networks.zeiler_fergus import NN1

NETWORKS: dict[str, Callable[[int], FaceNetwork]] = {
    "inception_resnet_v1": InceptionResnetV1,
    "mobilefacenet": MobileFaceNet,
    "nn1": NN1,
    "nn2": NN2,
    "nn3": NN3,
    "nn4": NN4,
    "nns1": NNS1,
    "nns2": NNS2,
    "small_resnet": SmallResNet,
}


class UnknownNetwork(TrainingError):
    """No network has this name."""


def build(name: str, embedding_size: int = 128) -> FaceNetwork:
    """Return a network with fresh weights, channels last in memory: 2.5 times as fast on a CPU (measured)."""
    return _fresh(name, embedding_size).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _fresh(name: str, embedding_size: int) -> FaceNetwork:
    if name.startswith(PREFIX):
        return TimmBackbone(name, embedding_size)
    if name not in NETWORKS:
        raise UnknownNetwork(f"expected a network among {', '.join(sorted(NETWORKS))} or {PREFIX}NAME, got {name!r}")
    return NETWORKS[name](embedding_size)


def crop_size_of(name: str) -> int:
    """Return the size of the crops that a network takes. Raises UnknownNetwork."""
    if name.startswith(PREFIX):
        return _fresh(name, 2).crop_size
    with torch.device("meta"):
        return _fresh(name, 2).crop_size
