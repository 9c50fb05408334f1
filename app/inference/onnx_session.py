"""The only door to ONNX Runtime: a network as a function of arrays, on the provider that was asked for and no other."""

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
_ERRORS_ONLY = 3
_LARGE = 6 * 1024 * 1024
"""Bytes of input from which a run gives its working memory back: kept, that of one huge photo would stay for good."""


class Session:
    """A loaded network of `size` bytes. `run` may be called from many threads at once."""

    def __init__(self, model: bytes, *, provider: Provider = "auto", threads: int = 1) -> None:
        """Raises StartError where `provider` is named and cannot be used: never a silent fallback to the CPU."""
        wanted = _choose(provider)
        complaints = _load_cuda() if _NAMES["cuda"] in wanted or _NAMES["tensorrt"] in wanted else ""
        self._session = _open(model, wanted, threads)
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._inputs = [given.name for given in self._session.get_inputs()]
        self.provider, self.size = _short_name(self._session.get_providers()[0]), len(model)
        if provider != "auto" and self.provider != provider:
            raise StartError(
                f"provider {provider!r} was asked for, but the network runs on {self.provider!r}: "
                + (complaints or "no NVIDIA GPU or driver can be reached (is the container started with --gpus all?)")
            )

    def run(self, *arrays: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """The network's outputs, in its own order; a run that nobody waits for is not begun (DeadlineExceeded)."""
        raise_if_cancelled()
        try:
            given = dict(zip(self._inputs, arrays, strict=True))
            large = sum(array.nbytes for array in arrays) > _LARGE
            outputs: list[npt.NDArray[Any]] = self._session.run(self._outputs, given, _shrinking() if large else None)
        except Exception as error:  # onnxruntime raises its own classes, RuntimeError and ValueError alike
            raise InferenceFailed(f"{type(error).__name__}: {error}") from error
        return outputs


def available_providers() -> list[str]:
    """Short names of what this onnxruntime wheel was built with, best first; not a promise that they work."""
    return [short for short in map(_short_name, ort.get_available_providers()) if short in _NAMES]


def runtime_version() -> str:
    return str(ort.__version__)


def _load_cuda() -> str:
    """What it says of libraries that are missing; those of its nvidia wheels it finds only when told to look."""
    said = io.StringIO()
    with redirect_stdout(said):
        ort.preload_dlls()
    return " ".join(said.getvalue().split())


def _shrinking() -> ort.RunOptions:
    options = ort.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _choose(provider: Provider) -> Sequence[str]:
    available = ort.get_available_providers()
    if provider == "auto":
        return [_NAMES[short] for short in ("cuda", "cpu") if _NAMES[short] in available]
    if _NAMES[provider] not in available:
        raise StartError(
            f"provider {provider!r} was asked for, but this onnxruntime {ort.__version__} offers only "
            f"{', '.join(available_providers())}; install the gpu extra or set LIKENESS_PROVIDER=auto"
        )
    return [_NAMES[provider]]


def _open(model: bytes, providers: Sequence[str], threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # as fast without, and they double what eight faces take
    options.log_severity_level = _ERRORS_ONLY
    try:
        return ort.InferenceSession(model, options, providers=list(providers))
    except Exception as error:
        raise StartError(f"onnxruntime cannot open the network: {error}") from error


def _short_name(provider: str) -> str:
    return next((short for short, name in _NAMES.items() if name == provider), provider)
