"""The shipped liveness network computes what the original code computes with the published weights."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from app.domain.errors import InferenceFailed, StartError
from app.inference.liveness import OnnxLiveness, open_liveness
from app.inference.manifest import LivenessManifest, read_liveness
from app.inference.onnx_session import Session
from tests.support import pad
from tests.support.networks import constant_scores


@pytest.fixture(scope="module")
def network(models_dir: Path) -> OnnxLiveness:
    return open_liveness(models_dir / "pad", provider="cpu")


@pytest.fixture(scope="module")
def manifest(models_dir: Path) -> LivenessManifest:
    return read_liveness(models_dir / "pad")


def test_scores_are_those_of_the_original_code(network: OnnxLiveness) -> None:
    crops = pad.crops()
    pairs = [(near, far) for near in crops for far in crops]
    scores = network.scores(np.stack([np.stack([crops[near], crops[far]]) for near, far in pairs]))
    assert scores == pytest.approx([pad.score(near, far) for near, far in pairs], abs=1e-4)


def test_each_network_sees_its_own_crop_in_its_own_order_of_colours(network: OnnxLiveness) -> None:
    crops = pad.crops()
    own = np.stack([crops["face"], crops["whole"]])
    right, exchanged, blue = network.scores(np.stack([own, own[::-1], own[..., ::-1]]))
    assert abs(right - exchanged) > 0.1
    assert abs(right - blue) > 0.01


def test_many_faces_are_judged_in_several_runs(network: OnnxLiveness, monkeypatch: pytest.MonkeyPatch) -> None:
    crops = np.random.default_rng(1).integers(0, 256, (5, 2, 80, 80, 3), dtype=np.uint8)
    together = network.scores(crops)
    monkeypatch.setattr("app.inference.liveness.BATCH", 2)
    np.testing.assert_allclose(network.scores(crops), together, atol=1e-5)
    assert network.scores(crops[:0]).shape == (0,)


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan")])
def test_a_score_that_is_no_probability_is_an_error(manifest: LivenessManifest, score: float) -> None:
    broken = OnnxLiveness(Session(constant_scores(score), provider="cpu"), manifest)
    with pytest.raises(InferenceFailed, match=r"expected liveness scores in \[0, 1\]"):
        broken.scores(np.zeros((1, 2, 80, 80, 3), np.uint8))


def test_a_network_with_another_output_is_an_error(manifest: LivenessManifest) -> None:
    single = OnnxLiveness(Session(constant_scores(0.5), provider="cpu"), manifest)
    with pytest.raises(InferenceFailed, match=r"expected liveness scores \(2,\), got \(1,\)"):
        single.scores(np.zeros((2, 2, 80, 80, 3), np.uint8))


def test_a_changed_or_missing_file_is_refused(models_dir: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(models_dir / "pad", tmp_path / "pad")
    (folder / "liveness.onnx").write_bytes((folder / "liveness.onnx").read_bytes()[:-1])
    with pytest.raises(StartError, match="differs from its manifest"):
        open_liveness(folder)
    with pytest.raises(StartError, match="no model in"):
        open_liveness(tmp_path / "other")
