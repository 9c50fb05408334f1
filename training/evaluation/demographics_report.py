"""`python -m training evaluate cohorts`: the FMRs of a threshold within each cohort and between cohorts."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain.arrays import Floats
from training.data.photo_groups import PhotoGroups
from training.errors import TrainingError
from training.evaluation.bootstrap import interval
from training.evaluation.demographics import (
    SAME_PERSON,
    CohortFaces,
    CohortRates,
    DemographicRates,
    first_per_person,
    infer_people,
    measure,
)
from training.evaluation.verification import embed
from training.pipeline.detection_cache import DetectedFaces, FaceFinder
from training.pipeline.served_model import ServedModel

FMR = 1e-4
FEW_PEOPLE = 40
"""Cohorts of fewer people are reported, and pooled, but none of them is named the worst."""


@dataclass(frozen=True)
class CohortQuery:
    """The threshold, or the FMR that gives it, and patterns of the cohorts' names; without a pattern all are used."""

    threshold: float | None = None
    fmr: float = FMR
    only: Sequence[str] = ()
    same_person: float = SAME_PERSON
    views: bool = False
    """Degrade each photo as well, for a lower bound of the FNMR."""

    def threshold_of(self, model: ServedModel) -> float:
        """Return the base threshold for a model. Raises TrainingError if there is neither one nor a calibration."""
        if self.threshold is not None:
            return self.threshold
        if model.calibration is None:
            raise TrainingError(f"{model.manifest.id} has no calibration: give --threshold")
        return model.calibration.at(self.fmr).threshold

    def select(self, cohorts: PhotoGroups) -> PhotoGroups:
        """Return the photos of the cohorts asked for. Raises TrainingError if no name fits."""
        fits = [not self.only or any(fnmatch.fnmatch(name, like) for like in self.only) for name in cohorts.names]
        kept = np.array(fits)[cohorts.group_of]
        if not kept.any():
            raise TrainingError(
                f"no cohort is named like {', '.join(self.only)}: expected one of {', '.join(cohorts.names)}"
            )
        return cohorts.select(kept)


def run(
    cohorts: PhotoGroups,
    model: Path,
    baseline: Path | None,
    query: CohortQuery,
    finder: FaceFinder,
    cache: Path | None = None,
) -> dict[str, Any]:
    """Return the report. Raises TrainingError."""
    cohorts = query.select(cohorts)
    models = [ServedModel.open(folder, cache) for folder in (model, baseline) if folder]
    thresholds = [query.threshold_of(each) for each in models]
    detected = finder.find_all(cohorts.paths, "detect")
    faces = faces_of(cohorts, detected, models, query.same_person, views=query.views)
    rates = [measure(each, [threshold]) for each, threshold in zip(faces, thresholds, strict=True)]
    reports = [_report(*each) for each in zip(models, thresholds, rates, strict=True)]
    return {
        **reports[0],
        "images": len(cohorts.paths),
        "faces_not_found": int((~detected.found).sum()),
        "repeats": int(detected.found.sum()) - len(faces[0].embeddings),
        "same_person": None if cohorts.people else query.same_person,
        "median_inside": float(np.median(faces[0].inside)),
        **({"baseline": reports[1], "ratio": _ratio(*rates)} if baseline else {}),
    }


def faces_of(
    cohorts: PhotoGroups,
    detected: DetectedFaces,
    models: Sequence[ServedModel],
    same_person: float = SAME_PERSON,
    *,
    views: bool = False,
) -> list[CohortFaces]:
    """Return the faces as embedded by each model; repeats of a person, according to any of them, are left out."""
    found = detected.found
    cohort_of = cohorts.group_of[found]
    embedded = [embed(model, detected, degraded=views) for model in models]
    if cohorts.people:
        person_of = np.unique(np.array(cohorts.people)[found], return_inverse=True)[1].astype(np.int64)
        kept = np.ones(len(person_of), bool)
    else:
        person_of = infer_people([each.clean.vectors for each in embedded], same_person)
        kept = first_per_person(cohort_of, person_of)
    faces = [
        CohortFaces(cohorts.names, each.clean, cohort_of, person_of, each.inside, each.embeddings.get("degraded"))
        for each in embedded
    ]
    return [each.select(kept) for each in faces]


def summary(report: dict[str, Any]) -> str:
    lines = [
        f"{report['model']['id']} at threshold {report['threshold']:.4f}: {report['images']} images, "
        f"{report['faces_not_found']} faces not found, {report['repeats']} repeats left out, "
        f"median inside {report['median_inside']:.2f}",
        *[line(each) for each in report["cohorts"]],
        f"median of {len(report['cohorts'])} cohorts: {_rate(report['median'])}",
        *_summary_of_sizes(report),
        f"between cohorts: {_rate(report['between'])}, {report['between']['impostor_pairs']} pairs",
    ]
    if "ratio" in report:
        low, high = report["ratio"]["interval"]
        lines += [
            f"{report['baseline']['model']['id']}: median {_rate(report['baseline']['median'])}",
            f"ratio of the medians {report['ratio']['median']:.3f} [{low:.3f}, {high:.3f}]",
        ]
    return "\n".join(lines)


def _report(model: ServedModel, threshold: float, rates: DemographicRates) -> dict[str, Any]:
    rows = sorted((row(cohort) for cohort in rates.cohorts), key=lambda each: -float(each["fmr"]))
    return {
        "model": model.identity,
        "threshold": threshold,
        "cohorts": rows,
        "median": _fmr_with_interval(rates.median[:, 0]),
        "worst": next((each for each in rows if each["people"] >= FEW_PEOPLE), None),
        "few_people": _pooled([cohort for cohort in rates.cohorts if cohort.people < FEW_PEOPLE]),
        "between": {"impostor_pairs": rates.between_pairs, **_fmr_with_interval(rates.between[:, 0])},
    }


def row(cohort: CohortRates) -> dict[str, Any]:
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
        **_view_fnmr(cohort),
    }


def _view_fnmr(cohort: CohortRates) -> dict[str, Any]:
    """Return the FNMR of a photo and its degraded copy, which is a lower bound, if it was measured."""
    if np.isnan(cohort.view_fnmr).any():
        return {}
    samples = cohort.view_fnmr[:, 0]
    return {"fnmr_lower_bound": float(samples[0]), "fnmr_lower_bound_interval": interval(samples[1:])}


def _pooled(cohorts: Sequence[CohortRates]) -> dict[str, Any] | None:
    """Return the FMR within small cohorts together: each pair of people of one cohort counts once."""
    if not cohorts:
        return None
    pairs = [cohort.impostor_pairs for cohort in cohorts]
    samples = np.average([cohort.fmr[:, 0] for cohort in cohorts], axis=0, weights=pairs)
    return {"cohorts": len(cohorts), "impostor_pairs": sum(pairs), **_fmr_with_interval(samples)}


def _fmr_with_interval(samples: Floats | NDArray[np.float64]) -> dict[str, Any]:
    return {"fmr": float(samples[0]), "interval": interval(samples[1:].astype(np.float64))}


def _ratio(main: DemographicRates, other: DemographicRates) -> dict[str, Any]:
    """Return the ratio of the median FMRs, paired: each sample of people gives one ratio."""
    ratio = main.median[:, 0] / np.maximum(other.median[:, 0], 1e-12)
    return {"median": float(ratio[0]), "interval": interval(ratio[1:])}


def line(row: dict[str, Any]) -> str:
    text = (
        f"{row['name']}: {_rate(row)}, {row['people']} people, {row['impostor_pairs']} pairs, "
        f"inside {row['median_inside']:.2f}"
    )
    return text + (f", FNMR at least {row['fnmr_lower_bound']:.3f}" if "fnmr_lower_bound" in row else "")


def _summary_of_sizes(report: dict[str, Any]) -> list[str]:
    worst, few = report["worst"], report["few_people"]
    lines = [f"worst cohort of {FEW_PEOPLE} people or more: {worst['name']}, {_rate(worst)}"] if worst else []
    if few:
        lines.append(f"{few['cohorts']} smaller cohorts together: {_rate(few)}, {few['impostor_pairs']} pairs")
    return lines


def _rate(row: dict[str, Any]) -> str:
    low, high = row["interval"]
    return f"FMR {row['fmr']:.2g} [{low:.2g}, {high:.2g}]"
