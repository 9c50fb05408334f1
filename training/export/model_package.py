"""Write a model folder as the service reads it: the graph and its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from app.inference.manifest import (
    MANIFEST,
    BoxAlignment,
    EmbedderManifest,
    LandmarkAlignment,
    ModelFile,
    digest_of,
    read_embedder,
)
from training.errors import TrainingError

FILE, OFFSET_FILE = "embedder.onnx", "threshold_offset.onnx"
OFFSET_PROVENANCE = "threshold_offset"


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


def write_offset(folder: Path, graph: bytes, provenance: str) -> ModelFile:
    """
    Write `folder`/threshold_offset.onnx and its entry in the manifest; the embedder and its digest stay as they are.

    Each file is replaced as a whole. Raises StartError if there is no embedder, or UnwritableModel.
    """
    manifest = read_embedder(folder)
    offset = ModelFile(path=OFFSET_FILE, digest=digest_of(graph))
    update = {"threshold_offset": offset, "provenance": {**manifest.provenance, OFFSET_PROVENANCE: provenance}}
    text = manifest.model_copy(update=update).model_dump_json(indent=2) + "\n"
    try:
        partial = [_partial(folder / OFFSET_FILE, graph), _partial(folder / MANIFEST, text.encode())]
        for file in partial:
            file.replace(file.with_suffix(""))
    except OSError as error:
        raise UnwritableModel(f"cannot write to {folder}: {error}") from error
    return offset


def _partial(path: Path, data: bytes) -> Path:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(data)
    return partial
