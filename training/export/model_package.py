"""Write a model folder as the service reads it: the graph and its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from app.inference.manifest import MANIFEST, BoxAlignment, EmbedderManifest, LandmarkAlignment, ModelFile, digest_of
from training.errors import TrainingError

FILE = "embedder.onnx"


class UnwritableModel(TrainingError):
    """The folder cannot be written, or the values make no manifest."""


def write_model(
    output: Path,
    graph: bytes,
    *,
    license_: str,
    provenance: Mapping[str, str],
    crop_size: int,
    alignment: LandmarkAlignment | BoxAlignment,
    dimension: int,
    batch: int | None = None,
) -> Path:
    """
    Write `output`/embedder.onnx and its manifest, and return the manifest's path; the folder's name is the model's id.

    Raises UnwritableModel; before anything is written, if the values make no manifest.
    """
    values = {
        "id": output.resolve().name,
        "kind": "embedder",
        "license": license_,
        "provenance": dict(provenance),
        "file": ModelFile(path=FILE, digest=digest_of(graph)),
        "crop_size": crop_size,
        "alignment": alignment,
        "dimension": dimension,
        "batch": batch,
    }
    path = output / MANIFEST
    try:
        manifest = EmbedderManifest.model_validate(values)
        output.mkdir(parents=True, exist_ok=True)
        (output / FILE).write_bytes(graph)
        path.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise UnwritableModel(f"no manifest can be written to {output}: {problems}") from None
    except OSError as error:
        raise UnwritableModel(f"cannot write to {output}: {error}") from error
    return path
