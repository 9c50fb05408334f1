"""
`python -m training evaluate cuts`: what a tight cut does to error rates, and through what.

Three things could: pixels that are missing, landmarks that are wrong, people who are alike. So photos of known people
are cut as tightly round the face as the cohorts' photos are, and aligned by the landmarks of the whole photo (so that
pixels are missing, no more) or by those found in the cut one. The cohorts' own photos are aligned by the same means;
within cohorts people are alike, between them they are not. docs/calibration.md says what came of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain.models import Floats
from training.all_pairs import all_pairs, interval, rate_curves, true_match_rates
from training.calibrate import folder_per_person
from training.cohorts import Strangers, measure, once_a_cohort, people_among
from training.cuts import BORDERS, Finder, Scene, View, cut, places_of, view_of
from training.groups import Grouped
from training.served import ServedModel, with_progress
from training.sights import FaceFinder, Sights, read_photo

REPLICATES = 200
FMR = 1e-4


def run(
    images: Path,
    cohorts: Grouped,
    model: ServedModel,
    threshold: float,
    finder: FaceFinder,
    ways: Mapping[str, Finder],
) -> dict[str, Any]:
    """The report, as a document: rows of photos of known people, cut, and rows of the cohorts' own photos."""
    paths, person_of = folder_per_person(images)
    whole, tight = finder.find_all(paths, "detect"), finder.find_all(cohorts.paths, "detect, cohorts")
    bench = _Bench(model, threshold)
    places, known = places_of(tight), next(iter(ways.items()))
    found = list(ways.items())[1:]
    others = [border for border in BORDERS if border != "black"]
    scenes = _Scenes(whole, places)
    return {
        "model": {"id": model.manifest.id, "digest": model.manifest.file.digest},
        "threshold": threshold,
        "known_people": [
            {"photos": "whole", **bench.known(_Scenes(whole, None), person_of, *known, "black")},
            *[{"photos": "cut", **bench.known(scenes, person_of, *way, "black")} for way in ways.items()],
            *[{"photos": "cut", **bench.known(scenes, person_of, *known, border)} for border in others],
        ],
        "cohorts": [
            *[bench.strangers(_Scenes(tight, None), cohorts, *way, "black") for way in found],
            *[bench.strangers(_Scenes(tight, None), cohorts, *found[1], border) for border in others],
        ],
    }


def summary(report: dict[str, Any]) -> str:
    lines = [
        f"{row['photos']}, landmarks {row['landmarks']}, border {row['border']}: inside {row['median_inside']:.2f}, "
        f"landmarks off {row['off']:.1f} px, FMR {row['fmr']:.2g}, FNMR {row['fnmr']:.3f}, "
        f"TMR at its own FMR 1e-4 {row['tmr']:.3f}"
        for row in report["known_people"]
    ]
    lines += [
        f"cohorts, landmarks {row['landmarks']}, border {row['border']}: inside {row['median_inside']:.2f}, "
        f"FMR between {row['between']:.2g}, median within {row['median_within']:.2g}"
        for row in report["cohorts"]
    ]
    return "\n".join(lines)


@dataclass(frozen=True)
class _Scenes:
    """The photos of `sights` that have a face, each cut at random like one of `places`, or whole."""

    sights: Sights
    places: Floats | None

    def views(self, way: str, finder: Finder, border: str) -> list[View | None]:
        random = np.random.default_rng(0)
        seen = [(path, face) for path, face in zip(self.sights.paths, self.sights.faces, strict=True) if face]
        drawn = [None if self.places is None else self.places[random.integers(len(self.places))] for _ in seen]

        def view(number: int) -> View | None:
            path, face = seen[number]
            return view_of(cut(Scene(read_photo(path), face.points), drawn[number]), finder, border)

        return with_progress(f"{way}, {border}", view, range(len(seen)))


@dataclass(frozen=True)
class _Bench:
    model: ServedModel
    threshold: float

    def known(
        self, scenes: _Scenes, person_of: NDArray[np.int64], way: str, finder: Finder, border: str
    ) -> dict[str, Any]:
        """All pairs of photos, whose people are known."""
        views = scenes.views(way, finder, border)
        vectors = self._embed(views)
        pairs = all_pairs(vectors, vectors, person_of[scenes.sights.found][_there(views)])
        fmr, fnmr = rate_curves(pairs, np.array([self.threshold]), REPLICATES)
        tmr = true_match_rates(pairs, [FMR], REPLICATES)
        return {**_facts(way, border, views), **_told("fmr", fmr), **_told("fnmr", fnmr), **_told("tmr", tmr)}

    def strangers(self, scenes: _Scenes, grouped: Grouped, way: str, finder: Finder, border: str) -> dict[str, Any]:
        """Within and between cohorts."""
        views = scenes.views(way, finder, border)
        vectors, cohort_of = self._embed(views), grouped.group_of[scenes.sights.found][_there(views)]
        person_of, inside = people_among([vectors]), np.array([view.inside for view in views if view], np.float32)
        faces = Strangers(grouped.names, vectors, cohort_of, person_of, inside)
        measured = measure(faces.of(once_a_cohort(cohort_of, person_of)), [self.threshold])
        return {
            **_facts(way, border, views),
            **_told("between", measured.between),
            **_told("median_within", measured.median),
        }

    def _embed(self, views: Sequence[View | None]) -> Floats:
        return self.model.embed(np.stack([view.pixels for view in views if view]), "embed")


def _there(views: Sequence[View | None]) -> NDArray[np.bool_]:
    return np.array([view is not None for view in views], bool)


def _told(name: str, samples: NDArray[np.float64]) -> dict[str, Any]:
    """Of samples (1 + R, 1), the first of which is the data itself."""
    return {name: float(samples[0, 0]), f"{name}_interval": interval(samples[1:, 0])}


def _facts(way: str, border: str, views: Sequence[View | None]) -> dict[str, Any]:
    seen = [view for view in views if view]
    off = [view.off for view in seen]
    return {
        "landmarks": way,
        "border": border,
        "faces_not_found": len(views) - len(seen),
        "median_inside": float(np.median([view.inside for view in seen])),
        "off": float(np.median(off)),
        "off_p95": float(np.percentile(off, 95)),
    }
