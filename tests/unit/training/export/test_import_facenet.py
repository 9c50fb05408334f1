"""Import facenet-pytorch's Inception-ResNet-v1 from a file of random weights in the published format."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient
from torch import nn

from app.domain.arrays import Pixels
from app.inference.manifest import BoxAlignment, read_checked, read_embedder
from app.inference.onnx_session import Session
from app.main import create_app
from app.settings import Settings
from tests.support.facenet_pytorch import load_mtcnn
from tests.support.published import random_inception_resnet, saved
from training.export import import_facenet
from training.export.import_facenet import WrongWeights

pytestmark = pytest.mark.slow  # a network of 24 million weights is exported and served
VGGFACE2 = 8631  # people


@pytest.fixture(scope="module")
def theirs() -> nn.Module:
    return random_inception_resnet(VGGFACE2)


@pytest.fixture(scope="module")
def file(theirs: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(theirs, tmp_path_factory.mktemp("weights") / "20180402-114759-vggface2.pt")


@pytest.fixture(scope="module")
def folder(file: Path, models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The imported model, in a folder of models with the detector."""
    models = tmp_path_factory.mktemp("models")
    (models / "mtcnn").symlink_to(models_dir / "mtcnn")
    import_facenet.run("vggface2", models / "facenet", file)
    return models / "facenet"


@pytest.fixture(scope="module")
def client(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    data = tmp_path_factory.mktemp("data")
    settings = Settings(
        models_dir=folder.parent, model=folder.name, data_dir=data, provider="cpu", min_face=20, _env_file=None
    )
    with TestClient(create_app(settings)) as opened:
        yield opened


def png(photo: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_graph_gives_facenet_pytorchs_vectors_to_five_decimals(theirs: nn.Module, folder: Path) -> None:
    crops = np.random.default_rng(1).integers(0, 256, (3, 160, 160, 3), np.uint8)
    crops[1] //= 8
    pixels = (torch.from_numpy(crops).permute(0, 3, 1, 2).float() - 127.5) / 128
    with torch.inference_mode():
        wanted = theirs(pixels).numpy()
    (got,) = Session(read_checked(folder, read_embedder(folder).file), provider="cpu").run(crops)
    assert ((wanted[0] - wanted[1]) ** 2).sum() > 0.01
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5)


def test_the_manifest_has_the_box_with_its_margin_and_where_the_weights_are_from(folder: Path) -> None:
    manifest = read_embedder(folder)
    assert (manifest.id, manifest.crop_size, manifest.dimension) == ("facenet", 160, 512)
    assert manifest.alignment == BoxAlignment(margin=14)
    assert manifest.provenance["weights"] == "20180402-114759-vggface2.pt"
    assert "VGGFace2" in manifest.license


def test_verify_equals_facenet_pytorch(client: TestClient, theirs: nn.Module, hopper: Pixels, collins: Pixels) -> None:
    mtcnn = load_mtcnn(image_size=160, margin=14)
    with torch.inference_mode():
        faces = torch.stack([mtcnn(Image.fromarray(photo)) for photo in (hopper, collins)])
        one, other = theirs(faces)
    distance = float((one - other).square().sum())
    answer = client.post("/verify", files={"image1": png(hopper), "image2": png(collins)})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert distance > 1e-3
    assert body["distance"] == pytest.approx(distance, rel=0.02)
    assert body["threshold"] | {"source": "uncalibrated", "distance": 1.1, "fmr": None} == body["threshold"]
    assert body["faces"][0]["quality"]["inside"] == 1


def test_a_file_in_the_cache_of_torch_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "20180408-102900-casia-webface.pt").symlink_to(file)
    with pytest.raises(WrongWeights, match=r"expected weights of the 10575 people of CASIA-WebFace, got 8631"):
        import_facenet.run("casia-webface", tmp_path / "model")
    assert not (tmp_path / "model").exists()
