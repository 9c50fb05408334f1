"""Import minivision's weights: the graph takes RGB crops of all networks, and returns their mean."""

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from app.domain.arrays import Floats
from app.inference.liveness import open_liveness
from app.inference.manifest import read_liveness
from tests.support import pad
from training.cli.main import cli
from training.errors import TrainingError
from training.export import import_pad
from training.networks.minifasnet import LIVE, MiniFASNet

CROPS = np.random.default_rng(3).integers(0, 256, (3, 2, 80, 80, 3), dtype=np.uint8)


def randomized(network: MiniFASNet, seed: int) -> MiniFASNet:
    """Return it with random weights, and the statistics of batch normalisation that they have on random crops."""
    torch.manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(layer.weight)
    with torch.no_grad():
        for _ in range(30):
            network.train()(torch.rand(8, 3, 80, 80) * 255)
    return network.eval()


def live_of(network: MiniFASNet, crops: np.ndarray) -> Floats:
    """Return the probabilities of live faces in RGB crops, by a network that takes BGR."""
    bgr = torch.from_numpy(crops[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32))
    with torch.inference_mode():
        return np.asarray(network(bgr).softmax(1)[:, LIVE])


@pytest.mark.slow
def test_the_graph_is_the_mean_of_the_networks_each_with_its_crop(tmp_path: Path) -> None:
    probabilities = []
    for number, (_, name, make) in enumerate(import_pad.NETWORKS):
        network = randomized(make(), number)
        torch.save({f"module.{key}": value for key, value in network.state_dict().items()}, tmp_path / name)
        probabilities.append(live_of(network, CROPS[:, number]))
    done = CliRunner().invoke(
        cli, ["import-pad", "--weights", str(tmp_path), "--output", str(tmp_path / "mine")], catch_exceptions=False
    )
    scores = open_liveness(tmp_path / "mine", provider="cpu").scores(CROPS)
    assert "wrote" in done.output
    assert np.ptp(scores) > 1e-3
    np.testing.assert_allclose(scores, np.mean(probabilities, axis=0), atol=1e-5)


@pytest.mark.slow
def test_an_import_gives_the_model_of_the_repository(tmp_path: Path, models_dir: Path, shared_data: Path) -> None:
    weights = shared_data / "weights" / "pad"
    if not weights.is_dir():
        pytest.skip(f"no {weights}: the published weights are not part of the repository")
    import_pad.run(tmp_path / "pad", weights)
    made, kept = (read_liveness(folder / "pad") for folder in (tmp_path, models_dir))
    ours, theirs = (open_liveness(folder / "pad", provider="cpu").scores(CROPS) for folder in (tmp_path, models_dir))
    assert made.model_copy(update={"file": kept.file}) == kept
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no .*2\.7_80x80_MiniFASNetV2\.pth: download it from"):
        import_pad.run(tmp_path / "pad", tmp_path)


def test_the_reference_distinguishes_the_crops() -> None:
    assert pad.score("face", "face") > 0.9
    assert pad.score("grey", "grey") < 0.5
