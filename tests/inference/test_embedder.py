"""Crops become unit vectors, in order, in batches that suit the network."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from app.domain.errors import InferenceFailed
from app.domain.models import AlignedCrop, Embedding, Floats, Pixels
from app.faces.alignment import LandmarkAligner
from app.faces.mtcnn.cascade import Mtcnn
from app.inference.embedder import OnnxEmbedder
from app.inference.manifest import digest_of, read_checked, read_embedder
from app.inference.onnx_session import Session
from tests.support.networks import DIMENSION, SIDE, first_only, manifest_of, mean_colour


def embedder(model: bytes, dimension: int = DIMENSION, batch: Literal[1] | None = None) -> OnnxEmbedder:
    return OnnxEmbedder(Session(model, provider="cpu"), manifest_of(model, SIDE, dimension, batch))


def crop_of(colour: tuple[int, int, int], side: int = SIDE) -> AlignedCrop:
    return AlignedCrop(np.full((side, side, 3), colour, np.uint8), 1.0)


RED, YELLOW = crop_of((200, 0, 0)), crop_of((90, 120, 0))
VECTORS: Floats = np.array([[1, 0, 0], [0.6, 0.8, 0]], np.float32)  # of RED and YELLOW


def stacked(embeddings: list[Embedding]) -> Floats:
    return np.stack([embedding.vector for embedding in embeddings])


@pytest.fixture(scope="module")
def served(models_dir: Path) -> OnnxEmbedder:
    folder = models_dir / "mobilefacenet-128"
    manifest = read_embedder(folder)
    return OnnxEmbedder(Session(read_checked(folder, manifest.file), provider="cpu"), manifest)


@pytest.fixture(scope="module")
def crops(detector: Mtcnn, hopper: Pixels, collins: Pixels) -> list[AlignedCrop]:
    """Two people, then both mirrored, then plain grey."""
    photos = [hopper, collins, hopper[:, ::-1].copy(), collins[:, ::-1].copy()]
    aligned = [LandmarkAligner().align(photo, detector.detect(photo)[0]) for photo in photos]
    return [*aligned, AlignedCrop(np.full((112, 112, 3), 127, np.uint8), 1.0)]


@pytest.mark.parametrize("tiny", [embedder(mean_colour()), embedder(first_only(), batch=1)], ids=["batch", "one crop"])
def test_vectors_have_the_order_of_the_crops_and_the_digest_of_the_network(tiny: OnnxEmbedder) -> None:
    embeddings = tiny.embed([RED, YELLOW])

    assert stacked(embeddings) == pytest.approx(VECTORS)
    assert {embedding.model for embedding in embeddings} == {tiny.model}


def test_model_is_the_digest_of_the_network() -> None:
    assert embedder(mean_colour()).model == digest_of(mean_colour())


def test_no_crops_give_no_vectors() -> None:
    assert embedder(mean_colour()).embed([]) == []


def test_vector_is_read_only() -> None:
    (embedding,) = embedder(mean_colour()).embed([RED])

    with pytest.raises(ValueError, match="read-only"):
        embedding.vector[0] = 0


@pytest.mark.parametrize(
    ("tiny", "crops_given", "message"),
    [
        (embedder(first_only()), [RED, YELLOW], r"expected vectors \(2, 3\), got \(1, 3\)"),
        (embedder(mean_colour(), dimension=128), [RED], r"expected vectors \(1, 128\), got \(1, 3\)"),
        (embedder(mean_colour()), [crop_of((200, 0, 0), side=SIDE + 1)], "Got invalid dimensions"),
    ],
    ids=["too few vectors", "wrong dimension", "wrong crop size"],
)
def test_network_that_does_not_fit_its_manifest_or_the_crops_fails(
    tiny: OnnxEmbedder, crops_given: list[AlignedCrop], message: str
) -> None:
    with pytest.raises(InferenceFailed, match=message):
        tiny.embed(crops_given)


@pytest.mark.parametrize(
    ("small", "provider", "runs"), [(10_000, "cpu", [2, 2, 1]), (0, "cpu", [5]), (10_000, "cuda", [5])]
)
def test_small_network_on_a_cpu_runs_in_small_batches(
    monkeypatch: pytest.MonkeyPatch, small: int, provider: str, runs: list[int]
) -> None:
    monkeypatch.setattr("app.inference.embedder.SMALL_NETWORK_BYTES", small)
    session, sizes, run = Session(mean_colour(), provider="cpu"), list[int](), Session.run
    session.provider = provider
    tiny = OnnxEmbedder(session, manifest_of(mean_colour()))

    def counted(self: Session, crops: Pixels) -> Any:
        sizes.append(len(crops))
        return run(self, crops)

    monkeypatch.setattr(Session, "run", counted)
    embeddings = tiny.embed([RED, YELLOW, RED, YELLOW, RED])

    assert sizes == runs
    assert stacked(embeddings) == pytest.approx(VECTORS[[0, 1, 0, 1, 0]])


def test_served_network_gives_unit_vectors_of_its_dimension(served: OnnxEmbedder, crops: list[AlignedCrop]) -> None:
    vectors = stacked(served.embed(crops))

    assert (vectors.shape, vectors.dtype.name) == ((5, 128), "float32")
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(5), abs=1e-5)


def test_served_network_gives_the_same_vectors_one_by_one(served: OnnxEmbedder, crops: list[AlignedCrop]) -> None:
    alone = np.stack([served.embed([crop])[0].vector for crop in crops])

    np.testing.assert_allclose(stacked(served.embed(crops)), alone, rtol=0, atol=1e-5)


def test_served_network_separates_two_people_but_not_mirror_images(
    served: OnnxEmbedder, crops: list[AlignedCrop]
) -> None:
    hopper, collins, hopper_mirrored, collins_mirrored, _ = stacked(served.embed(crops))

    assert ((hopper - collins) ** 2).sum() > 1.4
    assert ((hopper - hopper_mirrored) ** 2).sum() < 0.3
    assert ((collins - collins_mirrored) ** 2).sum() < 0.3
