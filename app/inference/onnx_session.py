"""Run a network with ONNX Runtime on the requested execution provider. The only module that imports onnxruntime."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any, Literal, TypeAlias

import numpy.typing as npt
import onnxruntime as ort

from app.concurrency.worker_pool import raise_if_cancelled
from app.domain.errors import InferenceFailed, StartError

Provider: TypeAlias = Literal["auto", "cpu", "cuda", "tensorrt"]

_NAMES = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_CPU_HINT = " (with Compose, `docker compose --profile cpu up` runs it without a GPU)"
_ERRORS_ONLY = 3
ort.disable_telemetry_events()  # ORT_DISABLE_TELEMETRY of app/__init__.py already stops it from starting
_LARGE = 6 * 1024 * 1024
"""Bytes of input from which a run frees its working memory, which would stay as large as the largest photo needed."""


class Session:
    """A loaded network of `size` bytes. `run` may be called from many threads at once."""

    def __init__(self, model: bytes, *, provider: Provider = "auto", threads: int = 1) -> None:
        """Raises StartError if a named `provider` cannot be used: there is no silent fallback to the CPU."""
        names = _choose(provider)
        missing = _load_cuda() if _NAMES["cuda"] in names or _NAMES["tensorrt"] in names else ""
        self._session = _open(model, names, threads)
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._inputs = [each.name for each in self._session.get_inputs()]
        self.provider, self.size = _short_name(self._session.get_providers()[0]), len(model)
        if provider != "auto" and self.provider != provider:
            raise StartError(
                f"provider {provider!r} was asked for, but the network runs on {self.provider!r}: "
                + (missing or "no NVIDIA GPU or driver can be reached (is the container started with --gpus all?)")
                + _CPU_HINT
            )

    def run(self, *arrays: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Return the outputs in the order of the graph. Raises InferenceFailed, or DeadlineExceeded if cancelled."""
        raise_if_cancelled()
        try:
            inputs = dict(zip(self._inputs, arrays, strict=True))
            large = sum(array.nbytes for array in arrays) > _LARGE
            outputs: list[npt.NDArray[Any]] = self._session.run(
                self._outputs, inputs, _shrink_arena() if large else None
            )
        except Exception as error:  # onnxruntime raises its own classes, RuntimeError and ValueError alike
            raise InferenceFailed(f"{type(error).__name__}: {error}") from error
        return outputs


def available_providers() -> list[str]:
    """Return the short names of the providers in this onnxruntime build, best first. They may still fail to load."""
    return [short for short in map(_short_name, ort.get_available_providers()) if short in _NAMES]


def runtime_version() -> str:
    return str(ort.__version__)


def _load_cuda() -> str:
    """Load the libraries of the nvidia wheels, and return what onnxruntime prints about missing ones."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        ort.preload_dlls()
    return " ".join(printed.getvalue().split())


def _shrink_arena() -> ort.RunOptions:
    options = ort.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _choose(provider: Provider) -> Sequence[str]:
    available = ort.get_available_providers()
    if provider == "auto":
        return [_NAMES[short] for short in ("cuda", "cpu") if _NAMES[short] in available]
    if _NAMES[provider] not in available:
        raise StartError(
            f"provider {provider!r} was asked for, but onnxruntime {ort.__version__} has only "
            f"{', '.join(available_providers())}; install the gpu extra or set LIKENESS_PROVIDER=auto" + _CPU_HINT
        )
    return [_NAMES[provider]]


def _open(model: bytes, providers: Sequence[str], threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # no slower without, and with them eight faces take twice the memory
    options.log_severity_level = _ERRORS_ONLY
    try:
        return ort.InferenceSession(model, options, providers=list(providers))
    except Exception as error:
        raise StartError(f"onnxruntime cannot load the network: {error}") from error


def _short_name(provider: str) -> str:
    return next((short for short, name in _NAMES.items() if name == provider), provider)
