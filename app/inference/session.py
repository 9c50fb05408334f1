"""Open the embedder on the execution provider of the settings. Where it is faster, that may be OpenVINO."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from app.domain.arrays import Floats, Pixels
from app.domain.errors import StartError
from app.inference import onnx_session, openvino_session
from app.inference.manifest import digest_of

log = logging.getLogger(__name__)

Provider: TypeAlias = Literal["auto", "cpu", "cuda", "tensorrt", "openvino"]

MINIMUM_COSINE = 0.999
"""Vectors of one crop on two providers are the same model's if their cosine is at least this."""
_FASTER = 0.9
"""OpenVINO is chosen if it takes at most this share of the time: a tie is not worth vectors that differ."""
_PROBE_SECONDS = 1.0
_PROBE_CROPS = 8


class Session(Protocol):
    """A loaded network of `size` bytes. `run` may be called from many threads at once."""

    @property
    def provider(self) -> str: ...

    @property
    def size(self) -> int: ...

    def run(self, *arrays: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Return the outputs in the order of the graph. Raises InferenceFailed, or DeadlineExceeded if cancelled."""


@dataclass(frozen=True, slots=True)
class _Probe:
    """The lowest cosine between the vectors of two providers, and OpenVINO's time as a share of ONNX Runtime's."""

    cosine: float
    time_ratio: float

    @property
    def reason_against(self) -> str | None:
        """Return why OpenVINO is not used, if it is not."""
        if self.cosine < MINIMUM_COSINE:
            return f"OpenVINO's vectors differ: expected a cosine >= {MINIMUM_COSINE:g}, got {self.cosine:.4f}"
        if self.time_ratio > _FASTER:
            return f"OpenVINO takes {self.time_ratio:.2f} times as long as ONNX Runtime"
        return None


def onnx_provider(provider: Provider) -> onnx_session.Provider:
    """Return the provider of the detector's networks. OpenVINO would compile them anew for each size of a photo."""
    return "cpu" if provider == "openvino" else provider


def open_embedder_session(
    model: bytes, crop_size: int, *, provider: Provider, threads: int, probe_file: Path | None = None
) -> Session:
    """
    Load a network from uint8 crops (N, size, size, 3) to unit vectors (N, D).

    With "auto" on a CPU, OpenVINO is used if it is installed, gives the same vectors and is faster. `probe_file` keeps
    what was measured for the next start. Raises StartError if the provider cannot be used.
    """
    onnx = onnx_session.Session(model, provider=onnx_provider(provider), threads=threads)
    if provider == "openvino":
        return _checked_openvino(model, crop_size, onnx, threads)
    if provider != "auto" or onnx.provider != "cpu" or not openvino_session.is_installed():
        return onnx
    openvino = openvino_session.OpenVinoSession(model, threads=threads)
    probe = _remembered_probe(onnx, openvino, crop_size, f"{digest_of(model)} {threads}", probe_file)
    if reason := probe.reason_against:
        log.info("the embedder runs on ONNX Runtime: %s", reason)
        return onnx
    log.info("the embedder runs on OpenVINO, in %.2f times the time of ONNX Runtime", probe.time_ratio)
    return openvino


def probe_summary(file: Path) -> str:
    """Return what the last start with "auto" measured, or nothing if OpenVINO was never tried."""
    try:
        kept = json.loads(file.read_text())
        probe = _Probe(float(kept["cosine"]), float(kept["time_ratio"]))
    except (OSError, ValueError, TypeError, KeyError):
        return ""
    return probe.reason_against or f"OpenVINO takes {probe.time_ratio:.2f} times as long as ONNX Runtime"


def probe_crops(size: int) -> Pixels:
    """Return crops (8, size, size, 3) of smooth noise, always the same."""
    coarse = np.random.default_rng(0).integers(0, 256, (_PROBE_CROPS, 8, 8, 3), np.uint8)
    return np.asarray([cv2.resize(each, (size, size), interpolation=cv2.INTER_CUBIC) for each in coarse], np.uint8)


def lowest_cosine(left: Floats, right: Floats) -> float:
    """Return the lowest cosine between the unit vectors (N, D) of the same rows."""
    return float(np.min(np.sum(left * right, axis=1)))


def _checked_openvino(model: bytes, crop_size: int, onnx: Session, threads: int) -> Session:
    session = openvino_session.OpenVinoSession(model, threads=threads)
    crops = probe_crops(crop_size)
    cosine = lowest_cosine(_vectors(onnx, crops), _vectors(session, crops))
    if not cosine >= MINIMUM_COSINE:
        raise StartError(
            f"provider 'openvino' was asked for, but changes the vectors of this network: expected a cosine >= "
            f"{MINIMUM_COSINE:g} to ONNX Runtime's, got {cosine:.4f}; set LIKENESS_PROVIDER=cpu or use another model"
        )
    return session


def _remembered_probe(onnx: Session, openvino: Session, crop_size: int, network: str, file: Path | None) -> _Probe:
    """Return what the file says about this network, processor and these versions, or measure it for a second."""
    subject = f"{network} {openvino_session.version()} {onnx_session.runtime_version()} {openvino_session.processor()}"
    with suppress(OSError, ValueError, TypeError, KeyError):
        kept = json.loads(file.read_text()) if file else {}
        if kept["subject"] == subject:
            return _Probe(float(kept["cosine"]), float(kept["time_ratio"]))
    probe = _measure(onnx, openvino, crop_size)
    if file:
        with suppress(OSError):  # the next start measures again
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # `likeness doctor` may find none
            file.write_text(json.dumps({"subject": subject, "cosine": probe.cosine, "time_ratio": probe.time_ratio}))
    return probe


def _measure(onnx: Session, openvino: Session, crop_size: int) -> _Probe:
    crops = probe_crops(crop_size)
    cosine = lowest_cosine(_vectors(onnx, crops), _vectors(openvino, crops))
    if not cosine >= MINIMUM_COSINE:
        return _Probe(cosine, 1.0)
    return _Probe(cosine, _ratio_of_times(lambda: openvino.run(crops[:1]), lambda: onnx.run(crops[:1])))


def _vectors(session: Session, crops: Pixels) -> Floats:
    """Return the vectors (N, D) of crops that go through the network one by one, which every network can do."""
    return np.concatenate([session.run(crops[index : index + 1])[0] for index in range(len(crops))])


def _ratio_of_times(run: Callable[[], object], other: Callable[[], object]) -> float:
    """Return the time of the fastest `run` as a share of that of the fastest `other`; they are called in turn."""
    best = [float("inf"), float("inf")]
    stop = time.monotonic() + _PROBE_SECONDS
    while time.monotonic() < stop:
        for index, function in enumerate((run, other)):
            started = time.perf_counter()
            function()
            best[index] = min(best[index], time.perf_counter() - started)
    return best[0] / best[1]
