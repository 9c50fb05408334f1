"""The embedders in the models directory, as `likeness models` shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.domain.errors import StartError
from app.inference.manifest import MANIFEST, EmbedderManifest, kind_of, read_checked, read_embedder
from app.inference.parameter_count import count_parameters
from app.matching.calibration import read_calibration


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """`fault` says why the model cannot be served; `calibrated_on` names the data of its calibration, if it has one."""

    id: str
    digest: str = ""
    license: str = ""
    parameters: int = 0
    dimension: int = 0
    crop_size: int = 0
    calibrated_on: str | None = None
    fault: str | None = None

    def document(self) -> dict[str, Any]:
        return asdict(self)


def installed_models(models_dir: Path) -> Sequence[InstalledModel]:
    """Return the embedders by name; detectors and other models are left out. Raises StartError."""
    try:
        folders = sorted(path for path in models_dir.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise StartError(f"cannot read {models_dir}: {error.strerror}; set LIKENESS_MODELS_DIR") from error
    return [
        _read(folder) for folder in folders if (folder / MANIFEST).is_file() and kind_of(folder) in (None, "embedder")
    ]


def _read(folder: Path) -> InstalledModel:
    try:
        manifest = read_embedder(folder)
    except StartError as error:
        return InstalledModel(folder.name, fault=" ".join(str(error).split()))
    try:
        data = read_checked(folder, manifest.file)
        calibration = read_calibration(folder, manifest.file.digest, manifest.offset_digest)
        return _of(folder, manifest, count_parameters(data), calibration.data.name if calibration else None)
    except (StartError, ValueError) as error:
        return _of(folder, manifest, 0, None, " ".join(str(error).split()))


def _of(
    folder: Path, manifest: EmbedderManifest, parameters: int, calibrated_on: str | None, fault: str | None = None
) -> InstalledModel:
    return InstalledModel(
        folder.name,
        manifest.file.digest,
        manifest.license,
        parameters,
        manifest.dimension,
        manifest.crop_size,
        calibrated_on,
        fault,
    )
