"""
`python -m training evaluate pad`: the error rates of the liveness check, by ISO/IEC 30107-3.

APCER is the share of attacks of one type that look live, BPCER the share of live faces that do not. A photo in which no
face is found is in neither: it is counted apart, as the standard's non-response.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from scipy.stats import binomtest

from app.domain.errors import InputError
from app.faces.alignment import LandmarkAligner
from app.faces.detector.mtcnn import SERVING_OPTIONS, load_mtcnn
from app.faces.liveness import CropLiveness
from app.inference.liveness import open_liveness
from app.inference.manifest import LivenessManifest
from app.pipeline import FacePipeline
from training.data.sources import images_in, subfolders
from training.errors import TrainingError
from training.pipeline.progress import with_progress
from training.pipeline.served_model import DETECTOR

LIVE, ATTACKS = "live", ("attack", "spoof")
"""Folders below the root: of live faces, and of attacks. A folder in the latter is one type of attack."""
THRESHOLDS = (0.1, 0.3, 0.5, 0.7, 0.9)

Scores: TypeAlias = Sequence[float | None]
"""The score of each photo; None if no face was found or the photo cannot be read."""


def run(
    images: Path, models_dir: Path, model: Path, threshold: float, *, all_live: bool = False, every: int = 1
) -> dict[str, Any]:
    """Return the rates at `threshold` and at THRESHOLDS. Raises TrainingError if `images` has not the folders."""
    groups = {LIVE: images_in(images)} if all_live else photos_by_type(images)
    network = open_liveness(model)
    pipeline = FacePipeline(
        load_mtcnn(models_dir / DETECTOR, SERVING_OPTIONS),
        LandmarkAligner(),
        liveness=CropLiveness(network, threshold),
    )
    scores = {
        name: with_progress(name, partial(_score, pipeline), sorted(paths)[::every]) for name, paths in groups.items()
    }
    return {
        "model": _identity(network.manifest),
        "images": str(images),
        **rates(scores, threshold),
        "thresholds": [rates(scores, each) for each in THRESHOLDS],
    }


def photos_by_type(root: Path) -> dict[str, list[Path]]:
    """Return the photos of live faces under LIVE, and those of each type of attack under its name."""
    found = {LIVE: images_in(root / LIVE)} if (root / LIVE).is_dir() else {}
    for folder in (root / name for name in ATTACKS if (root / name).is_dir()):
        types = {f"{folder.name}/{each.name}": images_in(each) for each in subfolders(folder)}
        loose = [path for path in images_in(folder) if path.parent == folder]
        found |= types | ({folder.name: loose} if loose else {})
    if not any(found.values()):
        raise TrainingError(f"expected photos in {root}/live and {root}/spoof (or attack), or --all-live")
    return found


def rates(scores: Mapping[str, Scores], threshold: float) -> dict[str, Any]:
    """Return BPCER, the APCER of each type of attack and of the worst type; each with counts and a 95 % interval."""
    live = {name: _rate(each, lambda score: score < threshold) for name, each in scores.items() if name == LIVE}
    attacks = {name: _rate(each, lambda score: score >= threshold) for name, each in scores.items() if name != LIVE}
    judged = [each for each in attacks.values() if each["judged"]]
    return {
        "threshold": threshold,
        "bpcer": live.get(LIVE),
        "apcer": max(judged, key=lambda each: each["rate"], default=None),
        "attacks": attacks,
    }


def summary(report: Mapping[str, Any]) -> str:
    lines = [f"{report['model']['id']} {report['model']['digest']}, threshold {report['threshold']}"]
    if report["bpcer"]:
        lines.append(f"live: BPCER {_text(report['bpcer'])}")
    lines += [f"{name}: APCER {_text(each)}" for name, each in report["attacks"].items()]
    lines += [
        f"threshold {each['threshold']}: APCER {_short(each['apcer'])}, BPCER {_short(each['bpcer'])}"
        for each in report["thresholds"]
    ]
    return "\n".join(lines)


def _score(pipeline: FacePipeline, path: Path) -> float | None:
    try:
        (face,) = pipeline.read(path.read_bytes(), "largest", liveness=True).faces
    except InputError:
        return None
    return face.liveness.score if face.liveness else None


def _rate(scores: Scores, is_wrong: Callable[[float], bool]) -> dict[str, Any]:
    judged = [score for score in scores if score is not None]
    wrong = sum(1 for score in judged if is_wrong(score))
    low, high = (0.0, 1.0)
    if judged:
        interval = binomtest(wrong, len(judged)).proportion_ci(0.95, method="exact")  # Clopper and Pearson 1934
        low, high = float(interval.low), float(interval.high)
    return {
        "photos": len(scores),
        "no_face": len(scores) - len(judged),
        "judged": len(judged),
        "wrong": wrong,
        "rate": wrong / len(judged) if judged else None,
        "interval": [low, high],
    }


def _text(rate: Mapping[str, Any]) -> str:
    return f"{_short(rate)}, {rate['wrong']} of {rate['judged']} photos; {rate['no_face']} without a face"


def _short(rate: Mapping[str, Any] | None) -> str:
    if rate is None or rate["rate"] is None:
        return "not measured"
    low, high = rate["interval"]
    return f"{rate['rate']:.1%} [{low:.1%}, {high:.1%}]"


def _identity(manifest: LivenessManifest) -> dict[str, str]:
    return {"id": manifest.id, "digest": manifest.file.digest}
