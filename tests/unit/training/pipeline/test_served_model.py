"""A model is measured on the provider that the service would run it on."""

from pathlib import Path

import numpy as np
import pytest

from app.domain.errors import StartError
from app.inference.openvino_session import is_installed
from app.inference.session import MINIMUM_COSINE, lowest_cosine, probe_crops
from tests.support import openvino
from training.pipeline.served_model import ServedModel

MODEL = "mobilefacenet-128"


def test_without_openvino_a_measurement_on_it_is_refused(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if is_installed():
        pytest.skip("OpenVINO is installed in this environment")
    monkeypatch.setenv("LIKENESS_PROVIDER", "openvino")
    with pytest.raises(StartError, match="OpenVINO is missing"):
        ServedModel.open(models_dir / MODEL)


@pytest.mark.slow  # `make test-slow` installs OpenVINO
def test_each_provider_has_vectors_and_a_cache_of_its_own(
    models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    openvino.install(monkeypatch)
    crops = probe_crops(112)
    onnx = ServedModel.open(models_dir / MODEL, tmp_path).embed(crops, "embed").vectors
    monkeypatch.setenv("LIKENESS_PROVIDER", "openvino")
    other = ServedModel.open(models_dir / MODEL, tmp_path).embed(crops, "embed").vectors
    assert not np.array_equal(onnx, other)
    assert lowest_cosine(onnx, other) >= MINIMUM_COSINE
    assert len(list(tmp_path.glob("vectors-*.npz"))) == 2
