"""The second graph of a model folder gives every vector a threshold offset; a model without it has none."""

from pathlib import Path

import numpy as np
import pytest

from app.domain.errors import InferenceFailed, StartError
from app.domain.faces import AlignedCrop
from app.domain.ports import NoThresholdOffsets
from app.inference.embedder import OnnxEmbedder
from app.inference.manifest import ModelFile, digest_of
from app.inference.onnx_session import Session
from app.inference.threshold_offsets import OnnxThresholdOffsets, open_threshold_offsets
from tests.support.networks import DIMENSION, SIDE, first_only, manifest_of, mean_colour, sum_and_product, weighted_sum
from tests.support.templates import unit

WEIGHTS = [0.25, 0.5, -0.5]
FILE = ModelFile(path="threshold_offset.onnx", digest=digest_of(weighted_sum(WEIGHTS)))
MANIFEST = manifest_of(mean_colour()).model_copy(update={"threshold_offset": FILE})


def offsets_of(graph: bytes) -> OnnxThresholdOffsets:
    return OnnxThresholdOffsets(Session(graph, provider="cpu"), MANIFEST.file.digest, FILE.digest)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / FILE.path).write_bytes(weighted_sum(WEIGHTS))
    return tmp_path


def test_each_vector_has_the_offset_that_the_graph_gives_it(folder: Path) -> None:
    offsets = open_threshold_offsets(folder, MANIFEST)
    vectors = np.stack([unit(seed, DIMENSION) for seed in range(5)])
    np.testing.assert_allclose(offsets.of(vectors), vectors @ np.array(WEIGHTS), atol=1e-6)
    assert offsets.model == MANIFEST.file.digest


def test_offsets_are_the_same_in_several_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, offsets = np.stack([unit(seed, DIMENSION) for seed in range(5)]), offsets_of(weighted_sum(WEIGHTS))
    together = offsets.of(vectors)
    monkeypatch.setattr("app.inference.threshold_offsets.BATCH", 2)
    np.testing.assert_allclose(offsets.of(vectors), together, atol=1e-6)
    assert offsets.of(vectors[:0]).shape == (0,)


def test_a_model_without_the_graph_has_the_offset_zero(tmp_path: Path) -> None:
    offsets = open_threshold_offsets(tmp_path, manifest_of(mean_colour()))
    assert offsets.of(np.eye(3, dtype=np.float32)).tolist() == [0, 0, 0]
    assert isinstance(offsets, NoThresholdOffsets)


def test_the_embedder_adds_the_offset_to_the_vector(folder: Path) -> None:
    session = Session(mean_colour(), provider="cpu")
    embedder = OnnxEmbedder(session, MANIFEST, open_threshold_offsets(folder, MANIFEST))
    yellow = AlignedCrop(np.full((SIDE, SIDE, 3), (90, 120, 0), np.uint8), 1.0)  # the vector (0.6, 0.8, 0)
    (embedding,) = embedder.embed([yellow])
    assert embedding.threshold_offset == pytest.approx(0.25 * 0.6 + 0.5 * 0.8)
    assert type(embedding.threshold_offset) is float


def test_without_offsets_the_embedder_adds_zero() -> None:
    embedder = OnnxEmbedder(Session(mean_colour(), provider="cpu"), manifest_of(mean_colour()))
    (embedding,) = embedder.embed([AlignedCrop(np.full((SIDE, SIDE, 3), 200, np.uint8), 1.0)])
    assert embedding.threshold_offset == 0


def test_a_graph_that_differs_from_the_manifest_stops_the_start(folder: Path) -> None:
    (folder / FILE.path).write_bytes(weighted_sum([1, 1, 1]))
    with pytest.raises(StartError, match=r"threshold_offset\.onnx differs from its manifest"):
        open_threshold_offsets(folder, MANIFEST)


def test_a_missing_graph_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"cannot read the model file .*threshold_offset\.onnx"):
        open_threshold_offsets(tmp_path, MANIFEST)


@pytest.mark.parametrize(
    ("graph", "complaint"),
    [
        (weighted_sum([float("inf")] * DIMENSION), "expected finite threshold offsets"),
        (weighted_sum([0.5] * 2), "InvalidArgument"),
        (first_only(), "InvalidArgument"),
        (sum_and_product(), "ValueError"),
    ],
    ids=["infinite", "another dimension", "an embedder", "two inputs"],
)
def test_a_graph_of_another_form_has_failed(graph: bytes, complaint: str) -> None:
    with pytest.raises(InferenceFailed, match=complaint):
        offsets_of(graph).of(np.stack([unit(1, DIMENSION)]))


def test_offsets_that_are_not_one_a_vector_have_failed() -> None:
    class Pairs(Session):
        def run(self, *arrays: np.ndarray) -> list[np.ndarray]:
            return [np.concatenate([array, array]) for array in super().run(*arrays)]

    offsets = OnnxThresholdOffsets(Pairs(weighted_sum(WEIGHTS), provider="cpu"), MANIFEST.file.digest, FILE.digest)
    with pytest.raises(InferenceFailed, match=r"expected threshold offsets \(1,\), got \(2,\)"):
        offsets.of(np.stack([unit(1, DIMENSION)]))
