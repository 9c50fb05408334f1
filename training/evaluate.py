"""
`python -m training evaluate lfw`: what the served pipeline is worth, from bytes to distance.

LFW's protocol (accuracy over folds, VAL at FAR, EER, AUC) on its pairs, and on all pairs of its images the true match
rate at FMRs that a service can live with. A face that is not found matches nobody: distance 4.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain.nouns import Floats
from training import augmentation, plots
from training.all_pairs import AllPairs, all_pairs, interval, true_match_rates
from training.errors import TrainingError
from training.metrics import (
    accuracy_over_folds,
    area_under_curve,
    equal_error_rate,
    share_within,
    threshold_at,
    validation_over_folds,
)
from training.pairs import PairList, read_pairs
from training.served import Crops, ServedModel, ServedReader

FMRS = [1e-2, 1e-3, 1e-4, 1e-5, 1e-6]
FAR = 1e-3
REPLICATES = 1000
DEGRADED = {"size": 40, "quality": 40, "noise": 1.0}
"""The degraded probe: the crop 40 px wide, JPEG quality 40, landmarks off by N(0, 1) px."""


@dataclass(frozen=True)
class Embedded:
    """What a model makes of the photos with a face: unit vectors (N, D), clean and degraded."""

    model: ServedModel
    clean: Floats
    degraded: Floats


def lfw(images: Path, pairs: Path, model: Path, baseline: Path | None, models_dir: Path) -> dict[str, Any]:
    """The report, as a document; with `baseline`, the paired difference to that model too."""
    protocol = read_pairs(pairs)
    paths = [images / name for name in protocol.images]
    if missing := [path for path in paths if not path.is_file()]:
        raise TrainingError(f"{len(missing)} images of {pairs} are not in {images}, the first is {missing[0]}")
    crops = ServedReader(models_dir).read_all(paths, "detect")
    person_of = _people(protocol)[crops.found]
    main = _embed(ServedModel.open(model), crops)
    report = _report(main, crops, protocol, person_of)
    if baseline:
        other = _embed(ServedModel.open(baseline), crops)
        report["baseline"] = _report(other, crops, protocol, person_of)
        report["gain"] = {
            kind: _gain(_pairs(main, kind, person_of), _pairs(other, kind, person_of)) for kind in ("clean", "degraded")
        }
    return report


def write(report: dict[str, Any], output: Path, plot: Path | None) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(report, indent=2) + "\n")
    if plot:
        plots.det_and_roc(report, plot)


def summary(report: dict[str, Any]) -> str:
    accuracy, val = report["accuracy"], report["val"]
    lines = [
        f"{report['model']['id']}: {report['images']} images of {report['people']} people, "
        f"{report['faces_not_found']} faces not found",
        f"accuracy {accuracy['mean']:.4f} +- {accuracy['error']:.4f} over {len(accuracy['folds'])} folds",
        f"VAL {val['mean']:.4f} +- {val['error']:.4f} at FAR {val['far']:g}; "
        f"EER {report['eer']:.4f}; AUC {report['auc']:.5f}",
    ]
    for kind in ("clean", "degraded"):
        lines += [_line(kind, row) for row in report["all_pairs"][kind]["tmr"]]
        lines += [_gain_line(kind, row) for row in report.get("gain", {}).get(kind, [])]
    return "\n".join(lines)


def _embed(model: ServedModel, crops: Crops) -> Embedded:
    clean = np.array([augmentation.centre(crop) for crop in crops.pixels])
    degraded = np.array([_degrade(number, crop) for number, crop in enumerate(crops.pixels)])
    name = model.manifest.id
    return Embedded(model, model.embed(clean, f"embed, {name}"), model.embed(degraded, f"embed degraded, {name}"))


def _degrade(seed: int, crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    random = np.random.default_rng(seed)
    return augmentation.degrade(
        crop, size=int(DEGRADED["size"]), quality=int(DEGRADED["quality"]), noise=DEGRADED["noise"], random=random
    )


def _people(protocol: PairList) -> NDArray[np.int64]:
    """A number for the person of each image."""
    names = [name.split("/")[0] for name in protocol.images]
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _pairs(embedded: Embedded, kind: str, person_of: NDArray[np.int64]) -> AllPairs:
    """Clean against clean, or a degraded probe against a clean reference."""
    return all_pairs(embedded.degraded if kind == "degraded" else embedded.clean, embedded.clean, person_of)


def _report(embedded: Embedded, crops: Crops, protocol: PairList, person_of: NDArray[np.int64]) -> dict[str, Any]:
    manifest = embedded.model.manifest
    return {
        "model": {"id": manifest.id, "digest": manifest.file.digest},
        "images": len(protocol.images),
        "people": int(person_of.max()) + 1,
        "faces_not_found": int((~crops.found).sum()),
        "degraded_probe": DEGRADED,
        **_protocol(_distances(embedded.clean, crops, protocol), protocol),
        "all_pairs": {kind: _all_pairs(_pairs(embedded, kind, person_of)) for kind in ("clean", "degraded")},
    }


def _distances(vectors: Floats, crops: Crops, protocol: PairList) -> NDArray[np.float64]:
    """Of each pair of the protocol, (N,); 4 where a face was not found."""
    row = np.cumsum(crops.found) - 1
    both = crops.found[protocol.first] & crops.found[protocol.second]
    first, second = vectors[row[protocol.first]], vectors[row[protocol.second]]
    distances = ((first - second).astype(np.float64) ** 2).sum(axis=1)
    return np.where(both, distances, 4.0)


def _protocol(distances: NDArray[np.float64], protocol: PairList) -> dict[str, Any]:
    same, fold = protocol.same, protocol.fold
    genuine, impostors = np.sort(distances[same]), np.sort(distances[~same])
    return {
        "pairs": {"genuine": len(genuine), "impostor": len(impostors)},
        "accuracy": asdict(accuracy_over_folds(distances, same, fold)),
        "val": {"far": FAR, **asdict(validation_over_folds(distances, same, fold, FAR))},
        "eer": equal_error_rate(genuine, impostors),
        "auc": area_under_curve(genuine, impostors),
    }


def _all_pairs(pairs: AllPairs) -> dict[str, Any]:
    rates = true_match_rates(pairs, FMRS, REPLICATES)
    genuine, impostors = pairs.genuine.astype(np.float64), pairs.impostors.astype(np.float64)
    return {
        "genuine_pairs": len(genuine),
        "impostor_pairs": len(impostors),
        "tmr": [
            {
                "fmr": fmr,
                "threshold": threshold_at(impostors, fmr),
                "tmr": float(rates[0, column]),
                "interval": interval(rates[1:, column]),
            }
            for column, fmr in enumerate(FMRS)
        ],
        "curve": _curve(genuine, impostors),
    }


def _curve(genuine: NDArray[np.float64], impostors: NDArray[np.float64]) -> list[dict[str, float]]:
    """Points of the DET and ROC curves."""
    thresholds = [threshold_at(impostors, fmr) for fmr in np.geomspace(1 / len(impostors), 1, 60)]
    return [
        {"threshold": t, "fmr": share_within(impostors, t), "fnmr": 1 - share_within(genuine, t)} for t in thresholds
    ]


def _gain(main: AllPairs, other: AllPairs) -> list[dict[str, Any]]:
    """Difference of the true match rates, and its interval by the bootstrap over people, paired."""
    difference = true_match_rates(main, FMRS, REPLICATES) - true_match_rates(other, FMRS, REPLICATES)
    return [
        {"fmr": fmr, "tmr": float(difference[0, column]), "interval": interval(difference[1:, column])}
        for column, fmr in enumerate(FMRS)
    ]


def _line(kind: str, row: dict[str, Any]) -> str:
    low, high = row["interval"]
    return (
        f"{kind}: TMR {row['tmr']:.4f} [{low:.4f}, {high:.4f}] at FMR {row['fmr']:g}, threshold {row['threshold']:.3f}"
    )


def _gain_line(kind: str, row: dict[str, Any]) -> str:
    low, high = row["interval"]
    return f"{kind}: gain over the baseline {row['tmr']:+.4f} [{low:+.4f}, {high:+.4f}] at FMR {row['fmr']:g}"
