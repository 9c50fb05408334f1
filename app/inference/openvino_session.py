"""
Run a network with OpenVINO on the CPU. The only module that imports openvino, which may be missing.

Importing OpenVINO reports the import to its vendor. It does without where its package for that is missing.

Where the processor computes in bfloat16 (AMX, AVX512-BF16), so does the network: docs/benchmarks.md has the times, and
docs/evaluation.md what it changes in the vectors and rates.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any, cast

import numpy.typing as npt

from app.concurrency.scheduling import use_batch_scheduling
from app.concurrency.worker_pool import raise_if_cancelled
from app.domain.errors import InferenceFailed, StartError


def is_installed() -> bool:
    return importlib.util.find_spec("openvino") is not None


class OpenVinoSession:
    """A loaded network of `size` bytes. `run` may be called from many threads at once."""

    provider = "openvino"

    def __init__(self, model: bytes, *, threads: int = 1) -> None:
        """Raises StartError if OpenVINO is missing or cannot load the network."""
        if not is_installed():
            raise StartError("provider 'openvino' was asked for, but OpenVINO is missing: install likeness[openvino]")
        self.size = len(model)
        # OpenVINO computes on threads of its own. They inherit the scheduling of the thread that creates them.
        with ThreadPoolExecutor(1, initializer=use_batch_scheduling) as creator:
            self._compiled = creator.submit(_compile, model, threads).result()
        self._lock = threading.Lock()
        self._idle: list[Any] = []

    def run(self, *arrays: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Return the outputs in the order of the graph. Raises InferenceFailed, or DeadlineExceeded if cancelled."""
        raise_if_cancelled()
        try:
            with self._lock:
                request = self._idle.pop() if self._idle else self._compiled.create_infer_request()
            outputs = request.infer(dict(enumerate(arrays)), share_inputs=True)
            copies = [
                outputs[index].copy() for index in range(len(outputs))
            ]  # the request keeps its own and reuses them
        except Exception as error:  # openvino raises RuntimeError, TypeError and ValueError
            raise InferenceFailed(f"{type(error).__name__}: {error}") from error
        with self._lock:
            self._idle.append(request)
        return copies


def version() -> str:
    return str(_openvino().__version__)


def processor() -> str:
    """Return the name of the processor and the number formats in which OpenVINO computes on it."""
    core = _openvino().Core()
    names = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return f"{core.get_property('CPU', 'FULL_DEVICE_NAME')} {' '.join(sorted(names))}"


def _openvino() -> Any:
    sys.modules.setdefault("openvino_telemetry", cast("ModuleType", None))  # an import of it now fails
    import openvino

    return openvino


def _compile(model: bytes, threads: int) -> Any:
    core = _openvino().Core()
    bfloat16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    options = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,  # batches come one at a time; with two, 2026.4 computes wrong vectors of 8-bit weights
        "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
        "ENABLE_CPU_PINNING": False,  # several workers would be pinned to the same cores
    }
    try:
        return core.compile_model(core.read_model(model), "CPU", options)
    except Exception as error:
        raise StartError(f"OpenVINO cannot load the network: {error}") from error
