"""A start that cannot keep its promises stops, at once and in words."""

import onnxruntime
import pytest

from .server import Server

NO_CUDA = "CUDAExecutionProvider" not in onnxruntime.get_available_providers()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        pytest.param("LIKENESS_PROVIDER", "cuda", marks=pytest.mark.skipif(not NO_CUDA, reason="CUDA works here")),
        ("LIKENESS_PROVIDER", "abacus"),
        ("LIKENESS_MODELS_DIR", "/nowhere/at/all"),
        ("LIKENESS_MODEL", "no-such-model"),
        ("LIKENESS_DEFAULT_FMR", "often"),
        ("LIKENESS_DEFAULT_FMR", "-1"),
    ],
)
def test_a_setting_that_cannot_be_used_stops_the_start(tmp_path, setting, value):
    status, words = Server(tmp_path / "data", **{setting: value}).fail_to_start()
    assert status not in {0, -9}
    assert value in words or setting.removeprefix("LIKENESS_").lower() in words.lower()


def test_a_port_in_use_stops_the_start(server, tmp_path):
    status, words = Server(tmp_path / "data", LIKENESS_PORT=str(server.port)).fail_to_start()
    assert status not in {0, -9}
    assert words != ""
