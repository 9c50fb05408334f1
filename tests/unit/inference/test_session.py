"""The embedder runs on the provider that was asked for; `auto` takes OpenVINO only if it is faster and agrees."""

import json
from pathlib import Path

import numpy as np
import pytest

from app.domain.arrays import Floats
from app.domain.errors import InferenceFailed, StartError
from app.inference import session as sessions
from app.inference.manifest import read_checked, read_embedder
from app.inference.onnx_session import Session as OnnxSession
from app.inference.openvino_session import OpenVinoSession, is_installed
from app.inference.session import (
    MINIMUM_COSINE,
    lowest_cosine,
    onnx_provider,
    open_embedder_session,
    probe_crops,
    probe_summary,
)
from tests.support import openvino
from tests.support.background import map_in_threads
from tests.support.networks import SIDE, mean_colour
from tests.support.server import REPOSITORY

MODELS = REPOSITORY / "models"


def network(name: str = "mobilefacenet-128") -> bytes:
    folder = MODELS / name
    return read_checked(folder, read_embedder(folder).file)


@pytest.fixture
def with_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    openvino.install(monkeypatch)


def opened(provider: sessions.Provider, model: bytes, file: Path | None = None, size: int = 112) -> sessions.Session:
    return open_embedder_session(model, size, provider=provider, threads=1, probe_file=file)


def written_ratio(file: Path, ratio: float) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | {"time_ratio": ratio}))


def test_without_openvino_auto_is_onnx_runtime_and_the_named_provider_stops_the_start(tmp_path: Path) -> None:
    if is_installed():
        pytest.skip("OpenVINO is installed in this environment")
    assert opened("auto", network(), tmp_path / "probe.json").provider == "cpu"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StartError, match=r"OpenVINO is missing: install likeness\[openvino\]"):
        opened("openvino", network())


def test_networks_of_the_detector_stay_on_onnx_runtime() -> None:
    assert [onnx_provider(name) for name in ("openvino", "auto", "cuda")] == ["cpu", "auto", "cuda"]


@pytest.mark.slow  # `make test-slow` installs OpenVINO
@pytest.mark.usefixtures("with_openvino")
@pytest.mark.parametrize("name", ["mobilefacenet-128", "sface-128"])
def test_vectors_of_openvino_are_those_of_onnx_runtime(name: str) -> None:
    crops, model = probe_crops(112), network(name)
    expected: Floats = OnnxSession(model, provider="cpu").run(crops)[0]
    session = opened("openvino", model)
    assert (session.provider, session.size) == ("openvino", len(model))
    assert lowest_cosine(session.run(crops)[0], expected) >= MINIMUM_COSINE


@pytest.mark.slow  # `make test-slow` installs OpenVINO
@pytest.mark.usefixtures("with_openvino")
def test_many_threads_may_run_one_session_at_once() -> None:
    session, crops = OpenVinoSession(mean_colour()), np.zeros((1, SIDE, SIDE, 3), np.uint8)

    def vector(number: int) -> Floats:
        crop = crops + np.array([number, 100, 255 - number], np.uint8)
        (vectors,) = session.run(crop)
        return np.asarray(vectors[0], np.float32)

    expected = np.array([[number, 100, 255 - number] for number in range(200)], np.float32)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.allclose(map_in_threads(vector, range(200), 8), expected, atol=0.01)  # bfloat16 has eight bits


@pytest.mark.slow  # `make test-slow` installs OpenVINO
@pytest.mark.usefixtures("with_openvino")
def test_a_network_whose_vectors_would_change_is_refused() -> None:
    with pytest.raises(
        StartError, match=r"'openvino' .* expected a cosine >= 0.999 .* got 0\.\d+; set LIKENESS_PROVIDER=cpu"
    ):
        opened("openvino", network("mobilefacenet-128-int8"))


@pytest.mark.slow  # `make test-slow` installs OpenVINO
@pytest.mark.usefixtures("with_openvino")
def test_auto_keeps_onnx_runtime_for_a_network_whose_vectors_would_change(tmp_path: Path) -> None:
    file = tmp_path / "probe.json"
    assert opened("auto", network("mobilefacenet-128-int8"), file).provider == "cpu"
    assert "vectors differ: expected a cosine >= 0.999" in probe_summary(file)


@pytest.mark.slow  # `make test-slow` installs OpenVINO
@pytest.mark.usefixtures("with_openvino")
def test_auto_takes_the_faster_one_and_remembers_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, model = tmp_path / "probe.json", mean_colour()
    opened("auto", model, file, SIDE)
    monkeypatch.setattr(sessions, "_PROBE_SECONDS", -1.0)  # a measurement would now give not-a-number
    for ratio, provider in ((0.3, "openvino"), (0.95, "cpu"), (2.0, "cpu")):
        written_ratio(file, ratio)
        assert opened("auto", model, file, SIDE).provider == provider
        assert f"OpenVINO takes {ratio:.2f} times as long" in probe_summary(file)


@pytest.mark.slow  # `make test-slow` installs OpenVINO
@pytest.mark.usefixtures("with_openvino")
@pytest.mark.parametrize("content", ["", "[]", "{}", '{"subject": "another network", "cosine": 1, "time_ratio": 0.1}'])
def test_auto_measures_again_if_the_file_says_nothing_about_this_network(tmp_path: Path, content: str) -> None:
    file = tmp_path / "probe.json"
    file.write_text(content)
    opened("auto", mean_colour(), file, SIDE)
    kept = json.loads(file.read_text())
    assert kept["cosine"] >= MINIMUM_COSINE
    assert kept["time_ratio"] > 0
    assert "another network" not in kept["subject"]


@pytest.mark.slow  # `make test-slow` installs OpenVINO
@pytest.mark.usefixtures("with_openvino")
def test_errors_are_those_of_the_domain() -> None:
    with pytest.raises(StartError, match="OpenVINO cannot load the network"):
        OpenVinoSession(b"no network")
    with pytest.raises(InferenceFailed):
        OpenVinoSession(mean_colour()).run(np.zeros((1, 5, 5, 3), np.uint8))
