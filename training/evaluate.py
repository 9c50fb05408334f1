"""
`python -m training evaluate lfw`: what the served pipeline is worth, from bytes to distance.

LFW's protocol (accuracy over folds, VAL at FAR, EER, AUC) on its pairs, and on all pairs of its images the true match
rate at FMRs that a service can live with. A face that is not found matches nobody: distance 4.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain.models import Floats
from app.faces.alignment import ARCFACE_112, LandmarkAligner, arcface_template
from app.inference.manifest import EmbedderManifest, LandmarkAlignment
from training import augmentation, cohort_report, error_gallery, plots, protocol
from training.all_pairs import AllPairs, all_pairs, interval, true_match_rates
from training.cohorts import Strangers, measure
from training.data import CROP_SIZE, MARGIN
from training.errors import TrainingError
from training.groups import Grouped
from training.metrics import threshold_at
from training.pairs import PairList, read_pairs
from training.served import ServedModel
from training.sights import FaceFinder, Sights, embed_faces

FMRS = [1e-2, 1e-3, 1e-4, 1e-5, 1e-6]
USUAL = 1e-4
REPLICATES = 1000
DEGRADED = {"size": 40, "quality": 40, "noise": 1.0}
"""The degraded probe: the crop 40 px wide, JPEG quality 40, landmarks off by N(0, 1) px."""


@dataclass(frozen=True)
class Task:
    """Photos, the pairs of them to be told apart, and where their faces are."""

    images: Path
    protocol: PairList
    sights: Sights

    @classmethod
    def open(cls, images: Path, pairs: Path, finder: FaceFinder) -> Task:
        """Raises TrainingError where photos of the list are missing."""
        protocol_ = read_pairs(pairs)
        paths = [images / name for name in protocol_.images]
        if missing := [path for path in paths if not path.is_file()]:
            raise TrainingError(f"{len(missing)} images of {pairs} are not in {images}, the first is {missing[0]}")
        sights = finder.find_all(paths, "detect")
        if not sights.found.any():
            raise TrainingError(f"no face found in any of the {len(paths)} images")
        return cls(images, protocol_, sights)

    @property
    def person_of(self) -> NDArray[np.int64] | None:
        """Of each photo with a face; None where the list does not tell."""
        people = self.protocol.person_of
        return None if people is None else people[self.sights.found]

    @property
    def known_people(self) -> NDArray[np.int64]:
        """Raises TrainingError where the list does not tell: nobody knows then which of all pairs are genuine."""
        if self.person_of is None:
            raise TrainingError("want pairs whose folders are people: of other photos not all pairs can be judged")
        return self.person_of


@dataclass(frozen=True)
class Embedded:
    """What a model makes of the photos with a face: unit vectors (N, D), clean, and degraded where it can be said."""

    model: ServedModel
    vectors: Mapping[str, Floats]
    inside: Floats

    @property
    def clean(self) -> Floats:
        return self.vectors["clean"]


def lfw(
    task: Task, model: Path, baseline: Path | None = None, *, groups: Grouped | None = None, errors: Path | None = None
) -> dict[str, Any]:
    """
    The report, as a document; with `baseline`, the paired difference to that model too; with `groups`, the rates of
    each; `errors` is where a picture of the worst false matches and misses goes.
    """
    main = embed(ServedModel.open(model), task.sights)
    report = _report(main, task)
    if groups:
        report["groups"] = _by_group(main, task, groups, report)
    if errors:
        error_gallery.draw(main.clean, task.sights, task.known_people, errors)
    if baseline:
        other = embed(ServedModel.open(baseline), task.sights)
        report["baseline"] = _report(other, task)
        report["gain"] = _gains(main, other, task) if task.person_of is not None else {}
    return report


def write(report: dict[str, Any], output: Path, plot: Path | None) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(report, indent=2) + "\n")
    if plot:
        plots.det_and_roc(report, plot)


def embed(model: ServedModel, sights: Sights) -> Embedded:
    clean, inside = embed_faces(model, sights)
    vectors = {"clean": clean}
    if takes_arcface_112(model.manifest):
        wide = tuple((x + MARGIN, y + MARGIN) for x, y in ARCFACE_112)
        crops = sights.crops(LandmarkAligner(wide, CROP_SIZE), "align, with a margin").pixels
        degraded = np.array([_degrade(number, crop) for number, crop in enumerate(crops)])
        vectors["degraded"] = model.embed(degraded, f"embed degraded, {model.manifest.id}")
    return Embedded(model, vectors, inside)


def takes_arcface_112(manifest: EmbedderManifest) -> bool:
    """Whether `augmentation` speaks of its crops."""
    alignment = LandmarkAlignment(template=arcface_template(112))
    return manifest.crop_size == 112 and manifest.alignment == alignment


def _degrade(seed: int, crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    random = np.random.default_rng(seed)
    return augmentation.degrade(
        crop, size=int(DEGRADED["size"]), quality=int(DEGRADED["quality"]), noise=DEGRADED["noise"], random=random
    )


def _pairs(embedded: Embedded, person_of: NDArray[np.int64]) -> dict[str, AllPairs]:
    """Clean against clean, and a degraded probe against a clean reference."""
    return {kind: all_pairs(vectors, embedded.clean, person_of) for kind, vectors in embedded.vectors.items()}


def _report(embedded: Embedded, task: Task) -> dict[str, Any]:
    manifest, person_of = embedded.model.manifest, task.person_of
    pairs = {} if person_of is None else _pairs(embedded, person_of)
    return {
        "model": {"id": manifest.id, "digest": manifest.file.digest},
        "images": len(task.protocol.images),
        "people": None if task.protocol.person_of is None else int(task.protocol.person_of.max()) + 1,
        "faces_not_found": int((~task.sights.found).sum()),
        "degraded_probe": DEGRADED,
        **protocol.report(distances_of(embedded.clean, task.sights.found, task.protocol), task.protocol),
        "all_pairs": {kind: _all_pairs(each) for kind, each in pairs.items()},
    }


def distances_of(vectors: Floats, found: NDArray[np.bool_], pairs: PairList) -> NDArray[np.float64]:
    """Of each pair of the protocol, (N,); 4 where a face was not found."""
    row = np.maximum(np.cumsum(found) - 1, 0)
    both = found[pairs.first] & found[pairs.second]
    first, second = vectors[row[pairs.first]], vectors[row[pairs.second]]
    distances = ((first - second).astype(np.float64) ** 2).sum(axis=1)
    return np.where(both, distances, 4.0)


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
        "curve": protocol.curve(genuine, impostors),
    }


def _gains(main: Embedded, other: Embedded, task: Task) -> dict[str, Any]:
    person_of, found = task.known_people, task.sights.found
    ours, theirs = _pairs(main, person_of), _pairs(other, person_of)
    distances = [distances_of(each.clean, found, task.protocol) for each in (main, other)]
    return {
        "protocol": protocol.gain(distances[0], distances[1], task.protocol, REPLICATES),
        **{kind: _gain(ours[kind], theirs[kind]) for kind in ours.keys() & theirs.keys()},
    }


def _gain(main: AllPairs, other: AllPairs) -> list[dict[str, Any]]:
    """Difference of the true match rates, and its interval by the bootstrap over people, paired."""
    difference = true_match_rates(main, FMRS, REPLICATES) - true_match_rates(other, FMRS, REPLICATES)
    return [
        {"fmr": fmr, "tmr": float(difference[0, column]), "interval": interval(difference[1:, column])}
        for column, fmr in enumerate(FMRS)
    ]


def _by_group(embedded: Embedded, task: Task, groups: Grouped, report: dict[str, Any]) -> list[dict[str, Any]]:
    """FMR and TMR within each group, at the threshold of FMR 1e-4 on all pairs."""
    threshold = next(row["threshold"] for row in report["all_pairs"]["clean"]["tmr"] if row["fmr"] == USUAL)
    group_of = dict(zip(groups.paths, groups.group_of.tolist(), strict=True))
    seen = [path for path, found in zip(task.sights.paths, task.sights.found, strict=True) if found]
    kept = np.array([path in group_of for path in seen], bool)
    cohort_of = np.array([group_of.get(path, -1) for path in seen])
    faces = Strangers(groups.names, embedded.clean, cohort_of, task.known_people, embedded.inside).of(kept)
    return [cohort_report.row(cohort) for cohort in measure(faces, [threshold]).cohorts]
