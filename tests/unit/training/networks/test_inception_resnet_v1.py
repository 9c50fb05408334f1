"""The network equals the class of facenet-pytorch 2.6.0."""

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.support.published import random_inception_resnet, saved
from training.networks import cost
from training.networks.registry import build
from training.networks.weights import UnusableWeights, load_state

NAME = "inception_resnet_v1"


@pytest.fixture(scope="module")
def theirs() -> nn.Module:
    return random_inception_resnet(people=7)


@pytest.fixture(scope="module")
def file(theirs: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(theirs, tmp_path_factory.mktemp("weights") / "random.pt")


@pytest.mark.slow
def test_it_computes_what_facenet_pytorch_does_from_the_same_file(theirs: nn.Module, file: Path) -> None:
    ours = build(NAME, 512).eval()
    load_state(ours, file)
    noise = torch.randn(3, 160, 160, generator=torch.Generator().manual_seed(2))
    pixels = torch.stack([noise, noise.cumsum(2) / 9])  # two pictures as unlike as can be
    with torch.inference_mode():
        got, wanted = nn.functional.normalize(ours(pixels)), theirs(pixels)
    assert (wanted[0] - wanted[1]).square().sum() > 0.01
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)


def test_it_costs_as_much_as_facenet_pytorchs(theirs: nn.Module) -> None:
    parameters, multiply_adds = cost.total(cost.table(build(NAME, 512), 160))
    assert (parameters, multiply_adds) == cost.total(cost.table(theirs, 160))
    assert parameters == pytest.approx(23.5e6, rel=0.002)
    assert multiply_adds == pytest.approx(1.42e9, rel=0.002)


@pytest.mark.slow
def test_only_the_classifier_of_a_published_file_is_ignored(file: Path, tmp_path: Path) -> None:
    other = torch.load(file, weights_only=True) | {"extra.weight": torch.zeros(1)}
    torch.save(other, tmp_path / "other.pt")
    with pytest.raises(UnusableWeights, match=r"does not fit InceptionResnetV1: 1 unexpected: extra\.weight$"):
        load_state(build(NAME, 512), tmp_path / "other.pt")


def test_old_files_without_counters_of_batches_load(file: Path, tmp_path: Path) -> None:
    state = torch.load(file, weights_only=True)
    old = {name: part for name, part in state.items() if not name.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "old.pt")
    load_state(build(NAME, 512), tmp_path / "old.pt")


def test_weights_of_512_numbers_are_refused_by_a_network_of_128(file: Path) -> None:
    with pytest.raises(UnusableWeights, match=r"last_linear\.weight \(expected \(128, 1792\), got \(512, 1792\)\)"):
        load_state(build(NAME, 128), file)
