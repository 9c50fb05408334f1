"""
`python -m training import-facenet`: facenet-pytorch's published Inception-ResNet-v1 to a served model of 512 numbers.

The graph holds their fixed image standardisation, (x - 127.5) / 128, and the manifest their crop: MTCNN's box with a
margin of 14 of 160 px, not a five-point alignment. There is no calibration yet: the service decides by 1.1 and says
`uncalibrated` until `python -m training calibrate` has run.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from app.runtime.manifest import BoxAlignment, digest_of
from training.errors import TrainingError
from training.export.model_package import write_model
from training.export.onnx import check_parity, embedder_graph
from training.networks.embedder import Embedder
from training.networks.registry import build
from training.networks.weights import load_state, read_state

Pretrained: TypeAlias = Literal["vggface2", "casia-webface"]
NETWORK, DIMENSION, MARGIN = "inception_resnet_v1", 512, 14
RELEASE = "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9"


class WeightsNotFound(TrainingError):
    """The message says where they are to be had."""


class OtherWeights(TrainingError):
    """The file holds a network trained on other people than was said."""


@dataclass(frozen=True, slots=True)
class Published:
    """A file of the release, and how many people its classifier knows."""

    file: str
    people: int
    data: str


PUBLISHED: dict[Pretrained, Published] = {
    "vggface2": Published("20180402-114759-vggface2.pt", 8631, "VGGFace2"),
    "casia-webface": Published("20180408-102900-casia-webface.pt", 10575, "CASIA-WebFace"),
}


def run(pretrained: Pretrained, output: Path, weights: Path | None = None) -> Path:
    """
    Write the model folder `output`; its manifest's path. Without `weights`, those that facenet-pytorch has fetched.

    Raises WeightsNotFound, OtherWeights, UnusableWeights, NotEqual or UnusableFolder.
    """
    published = PUBLISHED[pretrained]
    file = weights or _fetched(published)
    _check_people(file, published)
    network = build(NETWORK, DIMENSION)
    load_state(network, file)
    embedder = Embedder(network).eval()
    graph = embedder_graph(embedder)
    check_parity(embedder, graph)
    return write_model(
        output,
        graph,
        license=f"MIT (davidsandberg/facenet, facenet-pytorch); trained on {published.data}, published for research",
        provenance=_provenance(file, pretrained),
        crop_size=network.crop_size,
        alignment=BoxAlignment(margin=MARGIN),
        dimension=DIMENSION,
    )


def _fetched(published: Published) -> Path:
    """Where facenet-pytorch keeps what it has downloaded."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "torch")
    path = Path(os.environ.get("TORCH_HOME", cache)).expanduser() / "checkpoints" / published.file
    if not path.is_file():
        raise WeightsNotFound(f"no weights at {path}: fetch {RELEASE}/{published.file} and give the file by --weights")
    return path


def _check_people(file: Path, published: Published) -> None:
    """By the rows of the classifier, where the file has it."""
    classifier = read_state(file).get("logits.bias")
    if classifier is not None and len(classifier) != published.people:
        raise OtherWeights(
            f"{file} tells {len(classifier)} people apart: want the {published.people} of {published.data}"
        )


def _provenance(file: Path, pretrained: Pretrained) -> dict[str, str]:
    return {
        "weights": PUBLISHED[pretrained].file,
        "weights_sha256": digest_of(file.read_bytes()),
        "command": f"python -m training import-facenet --pretrained {pretrained}",
        "passes": "crop",
    }
