from pathlib import Path

import numpy as np
import pytest
import torch

from training.data.crops import CROPS_112
from training.data.dataset import FaceSet, read_crop
from training.engine.validation import embed_crops, validate
from training.networks.embedder import Embedder, FaceNetwork
from training.networks.registry import build
from training.networks.weights import load_state


@pytest.fixture
def network(tiny: Path) -> FaceNetwork:
    fresh = build("tiny", 8)
    load_state(fresh, tiny)
    return fresh


def test_the_auc_is_the_share_of_genuine_pairs_that_are_closer(network: FaceNetwork, faces: FaceSet) -> None:
    vectors = embed_crops(network, network.state_dict(), faces.paths).numpy()
    genuine: list[float] = []
    impostors: list[float] = []
    for a in range(len(faces)):
        for b in range(a):
            pairs = genuine if faces.labels[a] == faces.labels[b] else impostors
            pairs.append(np.sum((vectors[a] - vectors[b]) ** 2))
    found = validate(network, network.state_dict(), faces, step=3, fmr=0.5, block_size=5)
    assert found.auc == pytest.approx(np.mean([[g < i for i in impostors] for g in genuine]), abs=1e-3)
    assert found.tmr == pytest.approx(np.mean(np.array(genuine) < np.median(impostors)), abs=0.06)
    assert (found.step, found.people, found.faces, found.fmr) == (3, 6, 18, 0.5)


def test_an_fmr_finer_than_the_pairs_of_people_support_is_raised(network: FaceNetwork, faces: FaceSet) -> None:
    assert validate(network, network.state_dict(), faces, step=0, fmr=1e-6, block_size=64).fmr == 3 / 15


def test_evaluation_keeps_the_training_mode_and_the_statistics(network: FaceNetwork, faces: FaceSet) -> None:
    network.train()
    before = network.get_buffer("bn.running_mean").clone()
    vectors = embed_crops(network, network.state_dict(), faces.paths)
    crops = torch.from_numpy(np.stack([CROPS_112.center(read_crop(path)) for path in faces.paths]))
    assert network.training
    assert torch.equal(network.get_buffer("bn.running_mean"), before)
    torch.testing.assert_close(vectors, Embedder(network).eval()(crops).detach(), atol=1e-5, rtol=0)


def test_other_weights_than_those_of_the_network_can_be_validated(network: FaceNetwork, faces: FaceSet) -> None:
    others = build("tiny", 8)
    vectors = embed_crops(network, others.state_dict(), faces.paths)
    assert torch.equal(vectors, embed_crops(others, others.state_dict(), faces.paths))
    assert not torch.equal(vectors, embed_crops(network, network.state_dict(), faces.paths))
