"""
`python -m training evaluate lfw`: the accuracy of the served pipeline, from the bytes of photos to distances.

LFW's protocol (accuracy over folds, VAL at FAR, EER, AUC) on its pairs, and the true match rate at much smaller FMRs on
all pairs of its images, down to the finest FMR that its pairs of people support (the rule of three).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.photo_groups import PhotoGroups
from training.errors import TrainingError
from training.evaluation import demographics_report, hardest_pairs, lfw_protocol, plots
from training.evaluation.all_pairs import AllPairs, all_pairs
from training.evaluation.bootstrap import finest_fmr, interval, true_match_rates
from training.evaluation.demographics import CohortFaces, measure
from training.evaluation.metrics import threshold_at
from training.evaluation.verification import DEGRADED, EmbeddedFaces, VerificationTask, embed, pair_scores
from training.pipeline.served_model import ServedModel

FMRS = [1e-2, 1e-3, 1e-4, 1e-5, 1e-6]
REFERENCE_FMR = 1e-4
REPLICATES = 1000


def run(
    task: VerificationTask,
    model: Path,
    baseline: Path | None = None,
    *,
    groups: PhotoGroups | None = None,
    errors: Path | None = None,
    cache: Path | None = None,
) -> dict[str, Any]:
    """
    Return the report; with `baseline`, also the paired difference to that model; with `groups`, the rates of each.

    A picture of the worst false matches and misses is written to `errors`.
    """
    main = embed(ServedModel.open(model, cache), task.detected)
    report = _report(main, task)
    if groups:
        point = _group_threshold(main, task)
        report["group_threshold"], report["groups"] = point, _by_group(main, task, groups, point["threshold"])
    if errors:
        hardest_pairs.draw(main.clean, task.detected, task.known_people, errors)
    if baseline:
        other = embed(ServedModel.open(baseline, cache), task.detected)
        report["baseline"] = _report(other, task)
        report["gain"] = _gains(main, other, task) if task.person_of is not None else {}
    return report


def write(report: dict[str, Any], output: Path, plot: Path | None) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(report, indent=2) + "\n")
    if plot:
        plots.det_and_roc(report, plot)


def _pairs(embedded: EmbeddedFaces, person_of: NDArray[np.int64]) -> dict[str, AllPairs]:
    """Return the pairs of clean probes, and of degraded ones, with clean references."""
    return {kind: all_pairs(probes, embedded.clean, person_of) for kind, probes in embedded.embeddings.items()}


def _report(embedded: EmbeddedFaces, task: VerificationTask) -> dict[str, Any]:
    person_of = task.person_of
    pairs = {} if person_of is None else _pairs(embedded, person_of)
    return {
        "model": embedded.model.identity,
        "images": len(task.pairs.images),
        "people": None if task.pairs.person_of is None else int(task.pairs.person_of.max()) + 1,
        "faces_not_found": int((~task.detected.found).sum()),
        "degraded_probe": DEGRADED,
        **lfw_protocol.report(pair_scores(embedded.clean, task.detected.found, task.pairs), task.pairs),
        "all_pairs": {kind: _all_pairs(each) for kind, each in pairs.items()},
    }


def supported_fmrs(pairs: AllPairs) -> list[float]:
    """Return those of FMRS that the pairs of people support."""
    return [fmr for fmr in FMRS if fmr >= finest_fmr(pairs.impostor_people_pairs)]


def _all_pairs(pairs: AllPairs) -> dict[str, Any]:
    fmrs, finest = supported_fmrs(pairs), finest_fmr(pairs.impostor_people_pairs)
    rates = true_match_rates(pairs, fmrs, REPLICATES)
    genuine, impostors = pairs.genuine.astype(np.float64), pairs.impostors.astype(np.float64)
    return {
        "genuine_pairs": len(genuine),
        "impostor_pairs": len(impostors),
        "impostor_people_pairs": pairs.impostor_people_pairs,
        "finest_fmr": finest,
        "tmr": [
            {
                "fmr": fmr,
                "threshold": threshold_at(impostors, fmr),
                "tmr": float(rates[0, column]),
                "interval": interval(rates[1:, column]),
            }
            for column, fmr in enumerate(fmrs)
        ],
        "curve": lfw_protocol.curve(genuine, impostors, finest),
    }


def _gains(main: EmbeddedFaces, other: EmbeddedFaces, task: VerificationTask) -> dict[str, Any]:
    person_of, found = task.known_people, task.detected.found
    ours, theirs = _pairs(main, person_of), _pairs(other, person_of)
    scores = [pair_scores(each.clean, found, task.pairs) for each in (main, other)]
    return {
        "protocol": lfw_protocol.gain(scores[0], scores[1], task.pairs, REPLICATES),
        **{kind: _gain(ours[kind], theirs[kind]) for kind in ours.keys() & theirs.keys()},
    }


def _gain(main: AllPairs, other: AllPairs) -> list[dict[str, Any]]:
    """Return the differences of the true match rates, with intervals by the paired bootstrap over people."""
    fmrs = supported_fmrs(main)
    difference = true_match_rates(main, fmrs, REPLICATES) - true_match_rates(other, fmrs, REPLICATES)
    return [
        {"fmr": fmr, "tmr": float(difference[0, column]), "interval": interval(difference[1:, column])}
        for column, fmr in enumerate(fmrs)
    ]


def _group_threshold(embedded: EmbeddedFaces, task: VerificationTask) -> dict[str, float]:
    """Return the threshold of FMR 1e-4 on all pairs, or of the finest FMR that they support. Raises TrainingError."""
    pairs = all_pairs(embedded.clean, embedded.clean, task.known_people)
    fmr = max(REFERENCE_FMR, finest_fmr(pairs.impostor_people_pairs))
    if fmr == 1:
        raise TrainingError(f"--groups: {pairs.impostor_people_pairs} pairs of people support no FMR: add people")
    return {"fmr": fmr, "threshold": threshold_at(pairs.impostors.astype(np.float64), fmr)}


def _by_group(
    embedded: EmbeddedFaces, task: VerificationTask, groups: PhotoGroups, threshold: float
) -> list[dict[str, Any]]:
    """Return FMR and TMR within each group at `threshold`."""
    group_of = dict(zip(groups.paths, groups.group_of.tolist(), strict=True))
    found_paths = [path for path, found in zip(task.detected.paths, task.detected.found, strict=True) if found]
    kept = np.array([path in group_of for path in found_paths], bool)
    cohort_of = np.array([group_of.get(path, -1) for path in found_paths])
    faces = CohortFaces(groups.names, embedded.clean, cohort_of, task.known_people, embedded.inside).select(kept)
    return [demographics_report.row(cohort) for cohort in measure(faces, [threshold]).cohorts]
