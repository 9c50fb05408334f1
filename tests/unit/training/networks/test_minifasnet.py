"""MiniFASNet computes what the original code computes with the published weights."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support import pad
from training.export.import_pad import read_network
from training.networks.minifasnet import MiniFASNet, mini_fas_net_v1_se, mini_fas_net_v2

NETWORKS = list(zip(pad.LOGITS, (mini_fas_net_v2, mini_fas_net_v1_se), strict=True))


@pytest.fixture
def weights(shared_data: Path) -> Path:
    folder = shared_data / "weights" / "pad"
    if not folder.is_dir():
        pytest.skip(f"no {folder}: the published weights are not part of the repository")
    return folder


@pytest.mark.parametrize(("file", "network"), NETWORKS)
def test_logits_are_those_of_the_original_code(weights: Path, file: str, network: Callable[[], MiniFASNet]) -> None:
    crops = pad.crops()
    bgr = np.stack([crop[..., ::-1] for crop in crops.values()]).transpose(0, 3, 1, 2).astype(np.float32)
    with torch.inference_mode():
        logits = read_network(weights / file, network())(torch.from_numpy(bgr))
    np.testing.assert_allclose(logits, [pad.LOGITS[file][name] for name in crops], atol=1e-4)


@pytest.mark.parametrize(("network", "parameters"), [(mini_fas_net_v2, 435_000), (mini_fas_net_v1_se, 434_000)])
def test_the_networks_have_the_size_that_was_published(network: Callable[[], MiniFASNet], parameters: int) -> None:
    """The source says 0.43 and 0.41 million for crops of 80 px."""
    assert sum(each.numel() for each in network().parameters()) == pytest.approx(parameters, rel=0.01)


def test_a_crop_of_another_size_does_not_fit() -> None:
    with pytest.raises(RuntimeError):
        mini_fas_net_v2().eval()(torch.zeros(1, 3, 112, 112))
