"""lfw"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.photo_groups import Grouped
from training.evaluation import demographics_report, hardest_pairs, lfw_protocol, plots
from training.evaluation.all_pairs import AllPairs, all_pairs
from training.evaluation.bootstrap import interval, true_match_rates
from training.evaluation.demographics import Strangers, measure
from training.evaluation.metrics import threshold_at
from training.evaluation.verification import DEGRADED, Embedded, Task, distances_of, embed
from training.pipeline.served_model import ServedModel

FMRS = [1e-2, 1e-3, 1e-4, 1e-5, 1e-6]


USUAL = 1e-4


REPLICATES = 1000


def run(
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
        hardest_pairs.draw(main.clean, task.sights, task.known_people, errors)
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
        **lfw_protocol.report(distances_of(embedded.clean, task.sights.found, task.protocol), task.protocol),
        "all_pairs": {kind: _all_pairs(each) for kind, each in pairs.items()},
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
        "curve": lfw_protocol.curve(genuine, impostors),
    }


def _gains(main: Embedded, other: Embedded, task: Task) -> dict[str, Any]:
    person_of, found = task.known_people, task.sights.found
    ours, theirs = _pairs(main, person_of), _pairs(other, person_of)
    distances = [distances_of(each.clean, found, task.protocol) for each in (main, other)]
    return {
        "protocol": lfw_protocol.gain(distances[0], distances[1], task.protocol, REPLICATES),
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
    return [demographics_report.row(cohort) for cohort in measure(faces, [threshold]).cohorts]
