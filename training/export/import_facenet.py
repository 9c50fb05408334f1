"""
`python -m training import-facenet`: facenet-pytorch's published Inception-ResNet-v1 to a served model of 512 numbers.

The graph contains their fixed image standardisation, (x - 127.5) / 128, and the manifest their crop: MTCNN's box with a
margin of 14 of 160 px, without alignment. Until `python -m training calibrate` has run, the service uses the threshold
1.1 and answers `uncalibrated`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from app.inference.manifest import BoxAlignment, digest_of
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
    """The weights are not here; the message says where to download them."""


class WrongWeights(TrainingError):
    """The file holds a network trained on another data set."""


@dataclass(frozen=True, slots=True)
class Published:
    """A file of the release, and the number of people that its classifier distinguishes."""

    file: str
    people: int
    data: str


PUBLISHED: dict[Pretrained, Published] = {
    "vggface2": Published("20180402-114759-vggface2.pt", 8631, "VGGFace2"),
    "casia-webface": Published("20180408-102900-casia-webface.pt", 10575, "CASIA-WebFace"),
}


def run(pretrained: Pretrained, output: Path, weights: Path | None = None) -> Path:
    """
    Write the model folder `output` and return its manifest's path; without `weights`, use those of facenet-pytorch.

    Raises WeightsNotFound, WrongWeights, UnusableWeights, ParityError or UnwritableModel.
    """
    published = PUBLISHED[pretrained]
    file = weights or _downloaded(published)
    _check_people(file, published)
    network = build(NETWORK, DIMENSION)
    load_state(network, file)
    embedder = Embedder(network).eval()
    graph = embedder_graph(embedder)
    check_parity(embedder, graph)
    return write_model(
        output,
        graph,
        license_=license_of(published),
        provenance=_provenance(file, pretrained),
        crop_size=network.crop_size,
        alignment=BoxAlignment(margin=MARGIN),
        dimension=DIMENSION,
    )


def license_of(published: Published) -> str:
    return f"MIT (davidsandberg/facenet, facenet-pytorch); trained on {published.data}, published for research"


def _downloaded(published: Published) -> Path:
    """Return the file that facenet-pytorch has downloaded. Raises WeightsNotFound."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "torch")
    path = Path(os.environ.get("TORCH_HOME", cache)).expanduser() / "checkpoints" / published.file
    if not path.is_file():
        raise WeightsNotFound(
            f"no weights at {path}: download {RELEASE}/{published.file} and give the file by --weights"
        )
    return path


def _check_people(file: Path, published: Published) -> None:
    """Compare the rows of the classifier, if the file has it. Raises WrongWeights."""
    classifier = read_state(file).get("logits.bias")
    if classifier is not None and len(classifier) != published.people:
        raise WrongWeights(
            f"expected weights of the {published.people} people of {published.data}, got {len(classifier)} in {file}"
        )


def _provenance(file: Path, pretrained: Pretrained) -> dict[str, str]:
    return {
        "weights": PUBLISHED[pretrained].file,
        "weights_sha256": digest_of(file.read_bytes()),
        "command": f"python -m training import-facenet --pretrained {pretrained}",
        "passes": "crop",
    }
