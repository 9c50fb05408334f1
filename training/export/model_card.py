"""
`python -m training card`: write MODEL_CARD.md from the records of a run, an evaluation and a calibration.

A network that was trained elsewhere has no run: its card says where it comes from instead.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from app.inference.manifest import EmbedderManifest
from training.engine.run_record import RECORD
from training.errors import TrainingError
from training.export.card_accuracy import accuracy_part
from training.export.card_calibration import calibration_part
from training.export.model_package import OFFSET_PROVENANCE
from training.pipeline.served_model import ServedModel

CARD = "MODEL_CARD.md"
OWN_DATA = """\
- The data sets of the starting weights and of the fine-tuning were published for research; users must decide whether
  that restricts their use of the weights.
"""
OTHERS_DATA = """\
- The data that the network was trained on is its authors' choice, and not known to this project beyond what they say;
  users must decide whether that restricts their use of the weights.
"""
LIMITS = """\
- The rates were measured on press photos of public figures: adults, mostly white, mostly facing the camera. Different
  people of one age, sex and origin are confused more often (see the cohorts, if measured), without threshold offsets
  children most of all. Offsets reduce that at the cost of misses among people who look alike, and most among children.
  How often two photos of one child do not match was never measured, since no such pairs exist in the data;
  docs/evaluation.md has lower bounds, from degraded copies of the same photo.
- Tightly cropped photos, profiles, masks and sunglasses raise both error rates. `quality` in every answer rates the
  face in the photo; `inside` below about 0.9 has raised false matches in measurements.
- A printed photo of a face matches that face. `models/pad` looks for such attacks where it is asked to, and is only
  advisory (docs/liveness.md).
"""


def write(model: Path, run: Path | None, report: Path) -> Path:
    """Write the card and return its path. Raises TrainingError for a report of another model, or a missing file."""
    served = ServedModel.open(model)
    record, measured = _read(run / RECORD) if run else None, _read(report)
    if measured["model"] != served.identity:
        raise TrainingError(f"expected a report of {served.identity}, got {measured['model']} in {report}")
    limits = (OWN_DATA if record else OTHERS_DATA) + LIMITS
    parts = [
        _head(served),
        _training(record) if record else _origin(served),
        accuracy_part(measured, fine_tuned=record is not None),
        calibration_part(served.calibration),
        f"## Limits\n\n{limits}",
    ]
    path = model / CARD
    path.write_text("\n".join(parts), encoding="utf-8")
    return path


def _head(served: ServedModel) -> str:
    manifest = served.manifest
    return f"""# {manifest.id}

Maps an aligned {manifest.crop_size} px face to a unit vector of {manifest.dimension} numbers; two faces are compared by
squared L2 distance. Written by `python -m training card`; do not edit by hand.

| | |
|---|---|
| file | `{manifest.file.path}`, {manifest.file.digest} |
| license | {manifest.license} |
| passes | {manifest.provenance.get("passes", "crop")} |
| input | uint8 RGB crops (N, {manifest.crop_size}, {manifest.crop_size}, 3), aligned to five landmarks |
| output | float32 unit vectors (N, {manifest.dimension}) |
{_offset(manifest)}"""


def _offset(manifest: EmbedderManifest) -> str:
    """Return a row on the threshold offsets, if there are any."""
    if manifest.threshold_offset is None:
        return ""
    made = manifest.provenance.get(OFFSET_PROVENANCE, "unknown")
    return f"| threshold offsets | `{manifest.threshold_offset.path}`, {manifest.threshold_offset.digest}; {made} |\n"


def _origin(served: ServedModel) -> str:
    rows = "\n".join(f"| {name} | {value} |" for name, value in served.manifest.provenance.items())
    return f"""## Origin

Trained elsewhere; nothing was trained by this project.

| | |
|---|---|
{rows}
"""


def _training(record: dict[str, Any]) -> str:
    config, data = record["config"], record["data"]
    folders = "\n".join(
        f"| `{root}` | {counts['people']} | {counts['faces']} |" for root, counts in sorted(data["by_root"].items())
    )
    return f"""## Training

Fine-tuned by `python -m training train` from `{config["network"]["weights"]}` with the configuration below
(sha256 {record["config_sha256"]}), seed {record["seed"]}, at commit {record["commit"]}, torch {record["torch"]},
{record["threads"]} CPU threads, {record["seconds"]} s. Files of the training set: sha256 {data["files_sha256"]}.
{_blend(record)}
| data | people | faces |
|---|---|---|
{folders}

```json
{json.dumps(config, indent=1)}
```
"""


def _blend(record: dict[str, Any]) -> str:
    blend = record.get("blend")
    if blend is None:
        return ""
    share = blend["share"]
    return f"""
Then blended (`python -m training blend`): {share:g} of the trained weights and {1 - share:g} of the starting ones.
"""


def _read(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"cannot read {path}: {error}") from error
    return document
