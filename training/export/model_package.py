"""A served model on disk: the graph, and the manifest that the service reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from app.runtime.manifest import MANIFEST, BoxAlignment, EmbedderManifest, LandmarkAlignment, ModelFile, digest_of
from training.errors import TrainingError

FILE = "embedder.onnx"


class UnusableFolder(TrainingError):
    """No model can be written there, or none of these facts."""


def write_model(
    output: Path,
    graph: bytes,
    *,
    license: str,
    provenance: Mapping[str, str],
    crop_size: int,
    alignment: LandmarkAlignment | BoxAlignment,
    dimension: int,
    batch: int | None = None,
) -> Path:
    """
    Write `output`/embedder.onnx, then its manifest; the manifest's path. The folder's name becomes the model's id.

    Raises UnusableFolder, before anything is written where the facts are at fault.
    """
    facts = {
        "id": output.resolve().name,
        "kind": "embedder",
        "license": license,
        "provenance": dict(provenance),
        "file": ModelFile(path=FILE, digest=digest_of(graph)),
        "crop_size": crop_size,
        "alignment": alignment,
        "dimension": dimension,
        "batch": batch,
    }
    path = output / MANIFEST
    try:
        manifest = EmbedderManifest.model_validate(facts)
        output.mkdir(parents=True, exist_ok=True)
        (output / FILE).write_bytes(graph)
        path.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except ValidationError as error:
        complaints = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise UnusableFolder(f"no manifest can be written to {output}: {complaints}") from None
    except OSError as error:
        raise UnusableFolder(f"cannot write to {output}: {error}") from error
    return path
