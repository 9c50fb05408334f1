"""A tiny generated training set, and a tiny network to train on it."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from torch import Tensor, nn

from app.domain.arrays import Pixels
from app.inference.manifest import BoxAlignment
from tests.support import sources
from training.config.schema import TrainConfig
from training.data.dataset import FaceSet, read_faces
from training.export import wrap
from training.export.preprocessing import Preprocessing
from training.networks.embedder import FaceNetwork
from training.networks.registry import NETWORKS, build


class TinyNetwork(FaceNetwork):
    """A convolution, a BatchNorm and a linear layer to 8 numbers."""

    crop_size = 112

    def __init__(self, embedding_size: int = 8) -> None:
        super().__init__(embedding_size)
        self.conv = nn.Conv2d(3, 4, 9, stride=9)
        self.bn = nn.BatchNorm2d(4)
        self.last = nn.Linear(4 * 12 * 12, embedding_size)

    def forward(self, pixels: Tensor) -> Tensor:
        vectors: Tensor = self.last(self.bn(self.conv(pixels)).relu().flatten(1))
        return vectors


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def _encoded_crop(seed: int, size: int, extension: str) -> bytes:
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (6, 6, 3), np.uint8)
    crop = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    quick = [cv2.IMWRITE_PNG_COMPRESSION, 0] if extension == ".png" else []  # runs read it again and again
    written, data = cv2.imencode(extension, crop, quick)
    assert written
    return data.tobytes()


def _write_crop(path: Path, *, seed: int, size: int = 144) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_encoded_crop(seed, size, path.suffix))
    return path


@pytest.fixture
def write_crop() -> Callable[..., Path]:
    """A function (path, seed=, size=) that writes an image of blobs, different for each seed."""
    return _write_crop


def write_people(root: Path) -> Path:
    for person in range(6):
        for face in range(3):
            _write_crop(root / f"person{person}" / f"{face}.png", seed=10 * person + face)
    return root


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Six people, three crops each."""
    return write_people(tmp_path / "people")


@pytest.fixture
def faces(people: Path) -> FaceSet:
    return read_faces([people])


@pytest.fixture
def lfw_photos(tmp_path: Path, hopper: Pixels, collins: Pixels) -> Path:
    """Two people with three photos each, smaller and smaller, named as in LFW."""
    root = tmp_path / "photos"
    for name, pixels in (("Hopper", hopper), ("Collins", collins)):
        (root / name).mkdir(parents=True)
        for number in (1, 2, 3):
            small = Image.fromarray(pixels).resize((400 - 60 * number, 400 - 60 * number))
            small.save(root / name / f"{name}_{number:04d}.jpg", quality=95 - 10 * number)
    return root


@pytest.fixture
def crowd(tmp_path: Path, lfw_photos: Path) -> Path:
    """Twelve folders with two photos each, in different light: two people in truth, but enough to count."""
    for number in range(12):
        folder = tmp_path / "crowd" / f"person{number:02d}"
        folder.mkdir(parents=True)
        name = ("Hopper", "Collins")[number % 2]
        for photo in (1, 2):
            file, light = f"{name}_{photo:04d}.jpg", 0.6 + 0.07 * number
            ImageEnhance.Brightness(Image.open(lfw_photos / name / file)).enhance(light).save(folder / file)
    return tmp_path / "crowd"


@pytest.fixture
def boxed_model(tmp_path: Path) -> Path:
    """A wrapped model of crops by the box of the face, 16 px wide."""
    source = sources.write(tmp_path / "source.onnx", shape=(1, 3, sources.SIDE, sources.SIDE), rows=1)
    preprocessing = Preprocessing(sources.SIDE, (127.5,) * 3, (128.0,) * 3, bgr=False)
    wrap.wrap_model(source, tmp_path / "boxed", preprocessing, alignment=BoxAlignment(margin=4), license_="CC0")
    return tmp_path / "boxed"


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Weights of the network `tiny`, which is registered for one test."""
    monkeypatch.setitem(NETWORKS, "tiny", TinyNetwork)
    return write_weights(tmp_path / "tiny.pt")


def write_weights(path: Path) -> Path:
    torch.manual_seed(3)
    torch.save(build("tiny", 8).state_dict(), path)
    return path


@pytest.fixture
def config(people: Path, tiny: Path) -> TrainConfig:
    return config_of(people, tiny)


def config_of(people: Path, tiny: Path) -> TrainConfig:
    """Six steps of the tiny network."""
    return TrainConfig.model_validate(
        {
            "run": {"seed": 5, "threads": 1, "checkpoint_every": 2},
            "data": {"roots": [people]},
            "network": {"name": "tiny", "embedding_size": 8, "weights": tiny},
            "batch": {"people": 3, "faces": 2},
            "loss": {"miner": "batch-hard"},
            "optimizer": {"steps": 6, "warmup_steps": 2},
        }
    )
