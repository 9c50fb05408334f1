"""
`python -m training card`: write MODEL_CARD.md from the records of a run, an evaluation and a calibration.

A network that was trained elsewhere has no run: its card says where it comes from instead.
"""

from __future__ import annotations

import bisect
import json
from pathlib import Path
from typing import Any

from app.inference.manifest import EmbedderManifest
from app.matching.calibration import Calibration, Cohort
from training.engine.run_record import RECORD
from training.errors import TrainingError
from training.export.model_package import OFFSET_PROVENANCE
from training.pipeline.served_model import ServedModel

CARD = "MODEL_CARD.md"


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
        _accuracy(measured, fine_tuned=record is not None),
        _calibration(served.calibration),
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


def _accuracy(report: dict[str, Any], *, fine_tuned: bool) -> str:
    before = report.get("baseline")
    if fine_tuned:
        title, first, second = "before and after", "before", "after"
        meaning = _before(before)
    else:
        second = report["model"]["id"]
        first = before["model"]["id"] if before else "-"
        title, meaning = "beside another model", "Both models were measured in the same run. " if before else ""
    labels = {**_MEASURES, "val": f"VAL at FAR {report['val']['far']:.2g}"}
    rows = [f"| {label} | {_cell(before, key)} | {_cell(report, key)} |" for key, label in labels.items()]
    rows += [row for kind in report["all_pairs"] for row in _rate_rows(report, before, kind)]
    probe = report["degraded_probe"]
    return f"""## Measured, {title}

The served pipeline (bytes in, distance out) on {report["images"]} images of {report["people"]} people, never trained
on; {report["faces_not_found"]} faces not found. {meaning}In brackets 95 %
intervals, bootstrapped over people. A degraded probe is the aligned crop reduced to {probe["size"]} px, JPEG quality
{probe["quality"]}, landmarks off by N(0, {probe["noise"]:g}) px, against a clean reference.{_support(report)}

| measure | {first} | {second} |
|---|---|---|
{chr(10).join(rows)}
"""


def _before(baseline: dict[str, Any] | None) -> str:
    if baseline is None:
        return ""
    offsets = "with" if baseline["model"]["threshold_offset"] else "without"
    return f'"Before" is {baseline["model"]["id"]} {offsets} threshold offsets, in the same run.\n'


FMR_SCOPES = {
    "overall": "over all pairs of these people",
    "worst_cohort": "over all pairs of these people and within every cohort below",
}
_MEASURES = {"accuracy": "accuracy over folds", "val": "VAL", "eer": "EER", "auc": "AUC"}


def _cell(report: dict[str, Any] | None, key: str) -> str:
    if report is None:
        return "-"
    value = report[key]
    return f"{value['mean']:.4f} +- {value['error']:.4f}" if isinstance(value, dict) else f"{value:.4f}"


def _support(report: dict[str, Any]) -> str:
    clean = report["all_pairs"].get("clean")
    if clean is None:
        return ""
    pairs, finest = clean["impostor_people_pairs"], clean["finest_fmr"]
    return f"""
Rates are stated down to FMR {finest:.1e}, the finest that {pairs:,} pairs of people support (the rule of three)."""


def _rate_rows(report: dict[str, Any], before: dict[str, Any] | None, kind: str) -> list[str]:
    after = report["all_pairs"][kind]["tmr"]
    earlier = before["all_pairs"].get(kind, {}).get("tmr") if before else None
    earlier = earlier or [None] * len(after)
    return [
        f"| {kind}, TMR at FMR {new['fmr']:g} | {_rate(old)} | {_rate(new)} |"
        for old, new in zip(earlier, after, strict=True)
    ]


def _rate(row: dict[str, Any] | None) -> str:
    return f"{row['tmr']:.4f} [{row['interval'][0]:.4f}, {row['interval'][1]:.4f}]" if row else "-"


def _calibration(calibration: Calibration | None) -> str:
    if calibration is None:
        return "## Calibration\n\nNone yet: the threshold 1.1 is used, and answers say `uncalibrated`.\n"
    data = calibration.data
    points = [calibration.at(fmr) for fmr in (1e-2, 1e-3, 1e-4, 1e-5) if fmr >= calibration.smallest_fmr]
    rows = [f"| {point.fmr:g} | {point.threshold:.4f} | {point.fnmr:.4f} |" for point in points]
    return f"""## Calibration

On {data.name}: {data.impostor_pairs:,} impostor pairs ({data.impostor_people_pairs:,} pairs of people) and
{data.genuine_pairs:,} genuine pairs of {data.people:,} people. Finest FMR supported: {calibration.finest_fmr:.1e}. FMRs
hold {FMR_SCOPES[calibration.fmr_scope]}.

| FMR | {_threshold_name(calibration)} | FNMR |
|---|---|---|
{chr(10).join(rows)}
{_cohorts(calibration)}"""


def _threshold_name(calibration: Calibration) -> str:
    return "base threshold (squared L2 plus both offsets)" if calibration.threshold_offset else "threshold (squared L2)"


def _cohorts(calibration: Calibration) -> str:
    data = calibration.cohort_data
    if data is None:
        return ""
    point, thresholds = calibration.at(max(1e-4, calibration.smallest_fmr)), calibration.cohort_thresholds
    column = min(bisect.bisect_left(thresholds, point.threshold), len(thresholds) - 1)
    between = f"{calibration.between_cohorts[column]:.2g}" if calibration.between_cohorts else "not measured"
    ranked = sorted(calibration.cohorts, key=lambda cohort: -cohort.fmr[column])
    return f"""
### Within cohorts

False matches between different people of one cohort at threshold {thresholds[column]:.4f} (that of FMR {point.fmr:g}
or the next above), on {data.images} images of {data.name}; between people of different cohorts of the same photos
the FMR is {between}. `inside` is the median share of the aligned crop that lies in the photo.

| cohort | people | impostor pairs | inside | FMR |
|---|---|---|---|---|
{chr(10).join(_cohort_row(cohort, column) for cohort in ranked)}
"""


def _cohort_row(cohort: Cohort, column: int) -> str:
    inside = "-" if cohort.median_inside is None else f"{cohort.median_inside:.2f}"
    interval = "".join(f" [{low:.2g}, {high:.2g}]" for low, high in cohort.fmr_interval[column : column + 1])
    rate = f"{cohort.fmr[column]:.2g}{interval}"
    return f"| {cohort.name} | {cohort.people} | {cohort.impostor_pairs} | {inside} | {rate} |"


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
  people of one age, sex and origin are confused more often (see the cohorts, if measured), children most of all.
  Threshold offsets reduce that at the cost of misses among people who look alike. How often two photos of one child
  do not match was never measured: no such pairs exist in the data.
- Tightly cropped photos, profiles, masks and sunglasses raise both error rates. `quality` in every answer rates the
  face in the photo; `inside` below about 0.9 has raised false matches in measurements.
- Presentation attacks are not detected: a printed photo of a face matches that face.
"""


def _read(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"cannot read {path}: {error}") from error
    return document
