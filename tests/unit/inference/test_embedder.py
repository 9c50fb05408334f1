from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from app.domain.arrays import Pixels
from app.domain.errors import InferenceFailed
from app.domain.faces import AlignedCrop
from app.faces.alignment import LandmarkAligner
from app.faces.detector.mtcnn import Mtcnn
from app.inference.embedder import OnnxEmbedder
from app.inference.manifest import digest_of, read_checked, read_embedder
from app.inference.onnx_session import Session
from tests.support.networks import DIMENSION, SIDE, first_only, manifest_of, mean_colour

RED, YELLOW = (200, 0, 0), (90, 120, 0)


def embedder(model: bytes, dimension: int = DIMENSION, batch: Literal[1] | None = None) -> OnnxEmbedder:
    return OnnxEmbedder(Session(model, provider="cpu"), manifest_of(model, SIDE, dimension, batch))


def crop_of(color: tuple[int, int, int], side: int = SIDE) -> AlignedCrop:
    return AlignedCrop(np.full((side, side, 3), color, np.uint8), 1.0)


def vectors_of(embedder: OnnxEmbedder, *colors: tuple[int, int, int]) -> list[list[float]]:
    return [embedding.vector.tolist() for embedding in embedder.embed([crop_of(color) for color in colors])]


@pytest.fixture(scope="module")
def served(models_dir: Path) -> OnnxEmbedder:
    folder = models_dir / "mobilefacenet-128"
    manifest = read_embedder(folder)
    return OnnxEmbedder(Session(read_checked(folder, manifest.file), provider="cpu"), manifest)


@pytest.fixture(scope="module")
def crops(detector: Mtcnn, hopper: Pixels, collins: Pixels) -> list[AlignedCrop]:
    """Return crops of two people, of their mirror images, and of plain grey."""
    photos = [hopper, collins, hopper[:, ::-1].copy(), collins[:, ::-1].copy()]
    aligned = [LandmarkAligner().align(photo, detector.detect(photo)[0]) for photo in photos]
    return [*aligned, AlignedCrop(np.full((112, 112, 3), 127, np.uint8), 1.0)]


def test_an_embedding_has_a_unit_vector_and_the_digest_of_the_network() -> None:
    tiny = embedder(mean_colour())
    (embedding,) = tiny.embed([crop_of(YELLOW)])
    assert embedding.vector == pytest.approx([0.6, 0.8, 0])
    assert embedding.model == tiny.model == digest_of(mean_colour())


@pytest.mark.parametrize("tiny", [embedder(mean_colour()), embedder(first_only(), batch=1)], ids=["any", "batch 1"])
def test_vectors_come_in_the_order_of_the_crops(tiny: OnnxEmbedder) -> None:
    assert vectors_of(tiny, RED, YELLOW) == [pytest.approx([1, 0, 0]), pytest.approx([0.6, 0.8, 0])]
    assert vectors_of(tiny) == []


def test_a_vector_cannot_be_written_to() -> None:
    (embedding,) = embedder(mean_colour()).embed([crop_of(RED)])
    with pytest.raises(ValueError, match="read-only"):
        embedding.vector[0] = 0


@pytest.mark.parametrize(
    ("small", "provider", "runs"), [(10_000, "cpu", [2, 2, 1]), (0, "cpu", [5]), (10_000, "cuda", [5])]
)
def test_a_small_network_runs_in_batches(
    monkeypatch: pytest.MonkeyPatch, small: int, provider: str, runs: list[int]
) -> None:
    monkeypatch.setattr("app.inference.embedder.SMALL_MODEL_BYTES", small)
    session, seen, run = Session(mean_colour(), provider="cpu"), list[int](), Session.run
    session.provider = provider
    tiny = OnnxEmbedder(session, manifest_of(mean_colour()))
    monkeypatch.setattr(Session, "run", lambda self, crops: seen.append(len(crops)) or run(self, crops))  # type: ignore[func-returns-value]
    vectors = vectors_of(tiny, RED, YELLOW, RED, YELLOW, RED)
    assert seen == runs
    red, yellow = pytest.approx([1, 0, 0]), pytest.approx([0.6, 0.8, 0])
    assert vectors == [red, yellow, red, yellow, red]


@pytest.mark.parametrize(
    ("tiny", "crops", "complaint"),
    [
        (embedder(first_only()), 2, r"expected vectors \(2, 3\), got \(1, 3\)"),
        (embedder(mean_colour(), dimension=128), 1, r"expected vectors \(1, 128\), got \(1, 3\)"),
    ],
    ids=["too few outputs", "another dimension than in the manifest"],
)
def test_a_network_with_wrong_outputs_has_failed(tiny: OnnxEmbedder, crops: int, complaint: str) -> None:
    with pytest.raises(InferenceFailed, match=complaint):
        tiny.embed([crop_of(RED)] * crops)


def test_crops_of_another_size_than_the_networks_fail() -> None:
    with pytest.raises(InferenceFailed):
        embedder(mean_colour()).embed([crop_of(RED, side=SIDE + 1)])


def test_the_served_network_gives_unit_vectors(served: OnnxEmbedder, crops: list[AlignedCrop]) -> None:
    vectors = np.stack([embedding.vector for embedding in served.embed(crops)])
    assert vectors.shape == (5, 128)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(5), abs=1e-5)


def test_the_served_network_gives_the_same_in_a_batch_as_alone(served: OnnxEmbedder, crops: list[AlignedCrop]) -> None:
    together = np.stack([embedding.vector for embedding in served.embed(crops)])
    alone = np.stack([served.embed([crop])[0].vector for crop in crops])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)


def test_people_are_told_apart_and_their_mirror_images_are_not(served: OnnxEmbedder, crops: list[AlignedCrop]) -> None:
    hopper, collins, hopper_mirrored, collins_mirrored, _ = (item.vector for item in served.embed(crops))
    assert ((hopper - collins) ** 2).sum() > 1.4
    assert ((hopper - hopper_mirrored) ** 2).sum() < 0.3
    assert ((collins - collins_mirrored) ** 2).sum() < 0.3
