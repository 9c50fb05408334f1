"""`python -m training evaluate cohorts`: what a threshold promised for the average means within each cohort."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain.nouns import Floats
from training.data.photo_groups import Grouped
from training.errors import TrainingError
from training.evaluation.bootstrap import interval
from training.evaluation.demographics import (
    SAME_PERSON,
    Measured,
    Strangers,
    Within,
    measure,
    once_a_cohort,
    people_among,
)
from training.pipeline.detection_cache import FaceFinder, Sights, embed_faces
from training.pipeline.served_model import ServedModel

FMR = 1e-4


@dataclass(frozen=True)
class Asked:
    """At which threshold, and of which cohorts (patterns of their names; all where there is none)."""

    threshold: float | None = None
    fmr: float = FMR
    only: Sequence[str] = ()
    same_person: float = SAME_PERSON

    def threshold_of(self, model: ServedModel) -> float:
        """Raises TrainingError where neither the caller nor a calibration says it."""
        if self.threshold is not None:
            return self.threshold
        if model.calibration is None:
            raise TrainingError(f"{model.manifest.id} has no calibration: want --threshold")
        return model.calibration.at(self.fmr).threshold

    def chosen(self, grouped: Grouped) -> Grouped:
        """Raises TrainingError where no cohort is named like that."""
        wanted = [not self.only or any(fnmatch.fnmatch(name, like) for like in self.only) for name in grouped.names]
        kept = np.array(wanted)[grouped.group_of]
        if not kept.any():
            raise TrainingError(f"no cohort is named like {', '.join(self.only)}: there are {', '.join(grouped.names)}")
        return grouped.of(kept)


def run(grouped: Grouped, model: Path, baseline: Path | None, asked: Asked, finder: FaceFinder) -> dict[str, Any]:
    """The report, as a document. Raises TrainingError."""
    grouped = asked.chosen(grouped)
    models = [ServedModel.open(folder) for folder in (model, baseline) if folder]
    thresholds = [asked.threshold_of(each) for each in models]
    sights = finder.find_all(grouped.paths, "detect")
    faces = faces_of(grouped, sights, models, asked.same_person)
    measured = [measure(each, [threshold]) for each, threshold in zip(faces, thresholds, strict=True)]
    reports = [_report(*each) for each in zip(models, thresholds, measured, strict=True)]
    return {
        **reports[0],
        "images": len(grouped.paths),
        "faces_not_found": int((~sights.found).sum()),
        "repeats": int(sights.found.sum()) - len(faces[0].vectors),
        "same_person": None if grouped.people else asked.same_person,
        "median_inside": float(np.median(faces[0].inside)),
        **({"baseline": reports[1], "ratio": _ratio(*measured)} if baseline else {}),
    }


def faces_of(
    grouped: Grouped, sights: Sights, models: Sequence[ServedModel], same_person: float = SAME_PERSON
) -> list[Strangers]:
    """The same faces as each of the models sees them; repeats of people, as any of them sees it, left out."""
    found = sights.found
    cohort_of = grouped.group_of[found]
    seen = [embed_faces(model, sights) for model in models]
    if grouped.people:
        person_of = np.unique(np.array(grouped.people)[found], return_inverse=True)[1].astype(np.int64)
        kept = np.ones(len(person_of), bool)
    else:
        person_of = people_among([vectors for vectors, _ in seen], same_person)
        kept = once_a_cohort(cohort_of, person_of)
    faces = [Strangers(grouped.names, vectors, cohort_of, person_of, inside) for vectors, inside in seen]
    return [each.of(kept) for each in faces]


def summary(report: dict[str, Any]) -> str:
    lines = [
        f"{report['model']['id']} at threshold {report['threshold']:.4f}: {report['images']} images, "
        f"{report['faces_not_found']} faces not found, {report['repeats']} repeats left out, "
        f"median inside {report['median_inside']:.2f}",
        *[line(each) for each in report["cohorts"]],
        f"median of {len(report['cohorts'])} cohorts: {_rate(report['median'])}",
        f"between cohorts: {_rate(report['between'])}, {report['between']['impostor_pairs']} pairs",
    ]
    if "ratio" in report:
        low, high = report["ratio"]["interval"]
        lines += [
            f"{report['baseline']['model']['id']}: median {_rate(report['baseline']['median'])}",
            f"ratio of the medians {report['ratio']['median']:.3f} [{low:.3f}, {high:.3f}]",
        ]
    return "\n".join(lines)


def _report(model: ServedModel, threshold: float, measured: Measured) -> dict[str, Any]:
    rows = sorted((row(cohort) for cohort in measured.cohorts), key=lambda each: -float(each["fmr"]))
    return {
        "model": {"id": model.manifest.id, "digest": model.manifest.file.digest},
        "threshold": threshold,
        "cohorts": rows,
        "median": _told(measured.median[:, 0]),
        "between": {"impostor_pairs": measured.between_pairs, **_told(measured.between[:, 0])},
    }


def row(cohort: Within) -> dict[str, Any]:
    return {
        "name": cohort.name,
        "people": cohort.people,
        "images": cohort.images,
        "impostor_pairs": cohort.impostor_pairs,
        "median_inside": round(cohort.median_inside, 3),
        "fmr": float(cohort.fmr[0, 0]),
        "interval": cohort.interval(0),
        "genuine_pairs": cohort.genuine_pairs,
        "tmr": float(cohort.tmr[0, 0]) if cohort.genuine_pairs else None,
        "tmr_interval": interval(cohort.tmr[1:, 0]) if cohort.genuine_pairs else None,
    }


def _told(samples: Floats | NDArray[np.float64]) -> dict[str, Any]:
    return {"fmr": float(samples[0]), "interval": interval(samples[1:].astype(np.float64))}


def _ratio(main: Measured, other: Measured) -> dict[str, Any]:
    """Of the median cohorts' FMRs, paired: each sample of people gives one ratio."""
    ratio = main.median[:, 0] / np.maximum(other.median[:, 0], 1e-12)
    return {"median": float(ratio[0]), "interval": interval(ratio[1:])}


def line(told: dict[str, Any]) -> str:
    return (
        f"{told['name']}: {_rate(told)}, {told['people']} people, {told['impostor_pairs']} pairs, "
        f"inside {told['median_inside']:.2f}"
    )


def _rate(told: dict[str, Any]) -> str:
    low, high = told["interval"]
    return f"FMR {told['fmr']:.2g} [{low:.2g}, {high:.2g}]"
