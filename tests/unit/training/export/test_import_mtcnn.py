"""Import facenet-pytorch's MTCNN weights."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from app.inference.manifest import read_checked, read_detector
from app.inference.onnx_session import Session
from training.cli.main import cli
from training.errors import TrainingError
from training.export import import_mtcnn
from training.networks.mtcnn import ONet, PNet, RNet, fold_normalisation

Network = type[PNet | RNet | ONet]


def test_an_import_gives_the_files_of_the_repository(tmp_path: Path, models_dir: Path) -> None:
    done = CliRunner().invoke(cli, ["import-mtcnn", "--output", str(tmp_path)], catch_exceptions=False)
    assert done.output == f"wrote {tmp_path / 'manifest.json'}\n"
    made, kept = read_detector(tmp_path), read_detector(models_dir / "mtcnn")
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 48, 48, 4)).astype(np.float32)
    ours = Session(read_checked(tmp_path, made.onet)).run(pixels)
    theirs = Session(read_checked(models_dir / "mtcnn", kept.onet)).run(pixels)
    for new, old in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(new, old, atol=1e-6)


def test_without_facenet_pytorch_the_message_says_how_to_get_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "facenet_pytorch", None)
    with pytest.raises(TrainingError, match=r"facenet-pytorch is not installed: `pip install .*, or give --weights"):
        import_mtcnn.wheel_data()


@pytest.mark.parametrize(("network", "name", "size"), [(PNet, "pnet", 40), (RNet, "rnet", 24), (ONet, "onet", 48)])
def test_a_folded_network_takes_pixels_and_computes_the_same(network: Network, name: str, size: int) -> None:
    net = network().eval()
    net.load_state_dict(torch.load(import_mtcnn.wheel_data() / f"{name}.pt", weights_only=True))
    pixels = torch.rand(2, size, size, 3, generator=torch.Generator().manual_seed(1)) * 255
    with torch.inference_mode():
        expected = net((pixels - 127.5) / 128)
        fold_normalisation(net)
        for one, other in zip(net(pixels), expected, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
