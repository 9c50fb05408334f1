"""
`likeness models pull` runs this in a process of its own: a published file to a served model folder.

The service imports neither this package nor torch, and a file in ONNX needs no torch here either. The job comes as JSON
on the standard input: `file`, `output`, `license`, `origin` and `network`, which is an entry of the service's
`model_catalog.json`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.domain.errors import LikenessError
from app.faces.alignment import arcface_template
from app.inference.manifest import LandmarkAlignment
from training.errors import TrainingError
from training.export.preprocessing import Preprocessing
from training.export.wrap import wrap_model


def main() -> None:
    try:
        run(json.load(sys.stdin))
    except (TrainingError, LikenessError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)


def run(job: Mapping[str, Any]) -> None:
    """Write the model folder `output`. Raises TrainingError."""
    file, output, network = Path(job["file"]), Path(job["output"]), job["network"]
    if network["kind"] == "facenet":
        from training.export import import_facenet  # imports torch

        import_facenet.run(network["pretrained"], output, file)
        return
    mean, std, size = network["mean"], network["std"], network["size"]
    wrap_model(
        file,
        output,
        Preprocessing(size, (mean, mean, mean), (std, std, std), network["bgr"]),
        alignment=LandmarkAlignment(template=arcface_template(size)),
        license_=job["license"],
        origin=job["origin"],
    )


if __name__ == "__main__":
    main()
