"""`likeness doctor`: check packages, execution provider, models, data directory and access, and run a self-test."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable
from importlib import metadata
from typing import Any

from app import __version__
from app.bootstrap.models import PROBE_FILE, open_models, warm_up
from app.bootstrap.services import check_access
from app.bootstrap.storage import open_cipher, open_repository
from app.cli.output import ERROR, SUCCESS, AsJson, Result, run
from app.domain.errors import LikenessError, StartError
from app.faces.detector.kernels import load_kernels
from app.inference import openvino_session
from app.inference.onnx_session import available_providers, runtime_version
from app.inference.session import probe_summary
from app.settings import Settings

WHEELS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino")
"""Distributions of the same package: two of them would overwrite each other's files."""
PACKAGES = ("faiss-cpu", "fastapi", "numpy", "opencv-python-headless", "pillow", "simplejpeg", "uvicorn")


def doctor(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Check the installation. Exit 0 if every check passes, 2 otherwise."""

    async def work(settings: Settings) -> Result:
        checks = [_check(name, check, settings) for name, check in _CHECKS.items()]
        ok = all(check["ok"] for check in checks)
        lines = [f"{'ok  ' if check['ok'] else 'FAIL'} {check['name']}: {check['detail']}" for check in checks]
        return SUCCESS if ok else ERROR, {"ok": ok, "checks": checks}, "\n".join(lines)

    run(as_json, work)


def _check(name: str, check: Callable[[Settings], str], settings: Settings) -> dict[str, Any]:
    try:
        return {"name": name, "ok": True, "detail": check(settings)}
    except (LikenessError, OSError, metadata.PackageNotFoundError) as error:
        return {"name": name, "ok": False, "detail": str(error)}


def _installed(_settings: Settings) -> str:
    versions = [f"{name} {metadata.version(name)}" for name in PACKAGES]
    return ", ".join([f"likeness {__version__}", f"Python {platform.python_version()}", *versions])


def _runtime(settings: Settings) -> str:
    wheels = [wheel for wheel in WHEELS if _is_installed(wheel)]
    if len(wheels) > 1:
        raise StartError(
            f"expected one of {', '.join(WHEELS)}, got {' and '.join(wheels)}: uninstall all of them, then install one"
        )
    if settings.provider in ("cuda", "tensorrt") and settings.provider not in available_providers():
        raise StartError(f"LIKENESS_PROVIDER={settings.provider} needs onnxruntime-gpu: install likeness[gpu]")
    providers = ", ".join(available_providers())
    openvino = f", OpenVINO {openvino_session.version()}" if openvino_session.is_installed() else ""
    detector = "compiled" if load_kernels() else "in NumPy, which is slower: it was installed without a C compiler"
    return (
        f"onnxruntime {runtime_version()} with {providers}{openvino}; LIKENESS_PROVIDER={settings.provider}; "
        f"the detector's pyramid is {detector}"
    )


def _is_installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _models(settings: Settings) -> str:
    models = open_models(settings)
    embedder = models.embedder_manifest
    calibrated = f"calibrated on {models.calibration.data.name}" if models.calibration else "uncalibrated"
    offsets = "with threshold offsets" if embedder.threshold_offset else "without threshold offsets"
    was_probed = settings.provider == "auto" and openvino_session.is_installed()
    measured = probe_summary(settings.data_dir / PROBE_FILE) if was_probed else ""
    provider = f"{models.provider} ({measured})" if measured else models.provider
    liveness = f", with {models.liveness.manifest.id} for liveness" if models.liveness else ""
    return f"{embedder.id} {embedder.file.digest}, {offsets}, {calibrated}, runs on {provider}{liveness}"


def _self_test(settings: Settings) -> str:
    warm_up(open_models(settings))
    return "every network ran once and the embedding has unit length"


def _data(settings: Settings) -> str:
    if not settings.database:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=settings.data_dir):
            pass
    with open_repository(settings) as repository:
        galleries = repository.galleries()
    faces = sum(gallery.faces for gallery in galleries)
    encryption = "encrypted" if open_cipher(settings) else "not encrypted"
    where = "PostgreSQL" if settings.database else str(settings.data_dir.resolve())
    return f"{where} is writable; {len(galleries)} galleries, {faces} faces, {encryption}"


def _access(settings: Settings) -> str:
    return check_access(settings) or f"{settings.published_on or settings.host}, auth {settings.auth}"


_CHECKS: dict[str, Callable[[Settings], str]] = {
    "installed": _installed,
    "runtime": _runtime,
    "models": _models,
    "self-test": _self_test,
    "data": _data,
    "access": _access,
}
