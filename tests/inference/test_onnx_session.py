import numpy as np
import onnxruntime
import pytest

from app.domain.errors import InferenceFailed, StartError
from app.inference.onnx_session import Session, available_providers, runtime_version
from tests.support.background import map_in_threads
from tests.support.networks import sum_and_product

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
A, B = np.float32([1, 2, 3]), np.float32([10, 20, 30])


class CpuAfterAll:
    """What onnxruntime gives where CUDA was asked for and its libraries cannot be loaded."""

    def __init__(self, _model: bytes, _options: object, providers: list[str]) -> None:
        self.asked = providers

    def get_inputs(self) -> list[object]:
        return []

    def get_outputs(self) -> list[object]:
        return []

    def get_providers(self) -> list[str]:
        return [CPU]


def offer(monkeypatch: pytest.MonkeyPatch, *providers: str) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(providers))


def test_a_network_is_a_function_of_arrays_with_its_outputs_in_its_own_order() -> None:
    total, product = Session(sum_and_product(), provider="cpu").run(A, B)

    assert total.tolist() == [11, 22, 33]
    assert product.tolist() == [10, 40, 90]


def test_many_threads_may_run_one_session_at_once() -> None:
    session = Session(sum_and_product(), provider="cpu")

    totals = [total for total, _ in map_in_threads(lambda number: session.run(A * number, B), range(200), 8)]

    assert all(np.array_equal(total, A * number + B) for number, total in enumerate(totals))


def test_the_provider_in_use_is_the_one_that_was_asked_for() -> None:
    assert Session(sum_and_product(), provider="cpu").provider == "cpu"


def test_auto_takes_what_there_is() -> None:
    assert Session(sum_and_product(), provider="auto").provider in available_providers()


def test_auto_without_a_gpu_build_takes_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "AzureExecutionProvider", CPU)

    assert Session(sum_and_product()).provider == "cpu"


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_provider_that_this_build_lacks_stops_the_start(monkeypatch: pytest.MonkeyPatch, provider: str) -> None:
    offer(monkeypatch, "AzureExecutionProvider", CPU)

    with pytest.raises(StartError, match=f"'{provider}' was asked for, but this onnxruntime .* offers only cpu"):
        Session(sum_and_product(), provider=provider)


def test_a_provider_that_falls_back_to_the_cpu_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, CUDA, CPU)
    monkeypatch.setattr(onnxruntime, "InferenceSession", CpuAfterAll)

    with pytest.raises(StartError, match="'cuda' was asked for, but the network runs on 'cpu'"):
        Session(b"", provider="cuda")


def test_auto_may_fall_back_and_says_what_it_runs_on(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, CUDA, CPU)
    monkeypatch.setattr(onnxruntime, "InferenceSession", CpuAfterAll)

    assert Session(b"", provider="auto").provider == "cpu"


def test_providers_are_named_in_short_best_first_and_only_those_we_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "TensorrtExecutionProvider", CUDA, "AzureExecutionProvider", CPU)

    assert available_providers() == ["tensorrt", "cuda", "cpu"]


@pytest.mark.parametrize("model", [b"", b"no network", sum_and_product()[:40]])
def test_bytes_that_are_no_network_stop_the_start(model: bytes) -> None:
    with pytest.raises(StartError, match="cannot open the network"):
        Session(model, provider="cpu")


@pytest.mark.parametrize(
    "arrays",
    [(A,), (A, B, B), (A.astype(np.float64), B), (A[None], B), (A, B[:2])],
    ids=["too few", "too many", "of another type", "of another shape", "that do not fit together"],
)
def test_wrong_arrays_are_a_failed_inference(arrays: tuple[np.ndarray, ...]) -> None:
    with pytest.raises(InferenceFailed):
        Session(sum_and_product(), provider="cpu").run(*arrays)


def test_the_runtime_says_its_version() -> None:
    assert runtime_version() == onnxruntime.__version__
