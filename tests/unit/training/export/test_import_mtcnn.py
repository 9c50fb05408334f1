"""Import facenet-pytorch's MTCNN weights."""

from pathlib import Path

import numpy as np
import pytest
import torch

from app.inference.manifest import read_checked, read_detector
from app.inference.onnx_session import Session
from training.export import import_mtcnn
from training.networks.mtcnn import ONet, PNet, RNet, fold_normalisation

Network = type[PNet | RNet | ONet]


def test_an_import_gives_the_files_of_the_repository(tmp_path: Path, models_dir: Path) -> None:
    import_mtcnn.run(tmp_path)
    made, kept = read_detector(tmp_path), read_detector(models_dir / "mtcnn")
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 48, 48, 4)).astype(np.float32)
    ours = Session(read_checked(tmp_path, made.onet)).run(pixels)
    theirs = Session(read_checked(models_dir / "mtcnn", kept.onet)).run(pixels)
    for new, old in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(new, old, atol=1e-6)


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
