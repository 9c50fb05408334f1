"""A network is a function of arrays, on the requested provider and no other."""

from typing import Literal

import numpy as np
import onnxruntime
import pytest

from app.domain.arrays import Floats
from app.domain.errors import InferenceFailed, StartError
from app.inference.onnx_session import Session, available_providers, runtime_version
from tests.support.background import map_in_threads
from tests.support.networks import sum_and_product

AZURE, CPU, CUDA = "AzureExecutionProvider", "CPUExecutionProvider", "CUDAExecutionProvider"
A, B = np.array([1, 2, 3], np.float32), np.array([10, 20, 30], np.float32)


class CpuFallback:
    """Stands for an onnxruntime session that was asked for CUDA but cannot load its libraries."""

    def __init__(self, _model: bytes, _options: object, providers: list[str]) -> None:
        assert CUDA in providers

    def get_inputs(self) -> list[object]:
        return []

    get_outputs = get_inputs

    def get_providers(self) -> list[str]:
        return [CPU]


def offer(monkeypatch: pytest.MonkeyPatch, *providers: str) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(providers))


def test_outputs_have_the_order_of_the_graph() -> None:
    total, product = Session(sum_and_product(), provider="cpu").run(A, B)
    assert (total.tolist(), product.tolist()) == ([11, 22, 33], [10, 40, 90])


def test_many_threads_may_run_one_session_at_once() -> None:
    session = Session(sum_and_product(), provider="cpu")
    totals = [total for total, _ in map_in_threads(lambda number: session.run(A * number, B), range(200), 8)]
    assert all(np.array_equal(total, A * number + B) for number, total in enumerate(totals))


def test_named_provider_is_used() -> None:
    assert Session(sum_and_product(), provider="cpu").provider == "cpu"


def test_auto_uses_an_available_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Session(sum_and_product(), provider="auto").provider in available_providers()
    offer(monkeypatch, AZURE, CPU)
    assert Session(sum_and_product()).provider == "cpu"


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_missing_provider_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, provider: Literal["cuda", "tensorrt"]
) -> None:
    offer(monkeypatch, AZURE, CPU)
    with pytest.raises(
        StartError, match=f"'{provider}' was asked for, but onnxruntime .* has only cpu.*--profile cpu up"
    ):
        Session(sum_and_product(), provider=provider)


def test_only_auto_may_fall_back_to_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, CUDA, CPU)
    monkeypatch.setattr(onnxruntime, "InferenceSession", CpuFallback)
    assert Session(b"", provider="auto").provider == "cpu"
    with pytest.raises(StartError, match=r"'cuda' was asked for, but the network runs on 'cpu'.*--profile cpu up"):
        Session(b"", provider="cuda")


def test_available_providers_are_the_supported_ones_best_first(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "TensorrtExecutionProvider", CUDA, AZURE, CPU)
    assert available_providers() == ["tensorrt", "cuda", "cpu"]


@pytest.mark.parametrize("model", [b"", b"no network", sum_and_product()[:40]])
def test_invalid_network_stops_the_start(model: bytes) -> None:
    with pytest.raises(StartError, match="cannot load the network"):
        Session(model, provider="cpu")


@pytest.mark.parametrize(
    "arrays",
    [(A,), (A, B, B), (A.astype(np.float64), B), (A[None], B), (A, B[:2])],
    ids=["too few", "too many", "wrong type", "wrong shape", "different lengths"],
)
def test_wrong_inputs_are_a_failed_inference(arrays: tuple[Floats, ...]) -> None:
    with pytest.raises(InferenceFailed):
        Session(sum_and_product(), provider="cpu").run(*arrays)


def test_runtime_version_is_that_of_onnxruntime() -> None:
    assert runtime_version() == onnxruntime.__version__
