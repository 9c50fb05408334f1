"""A calibration that training measured keeps its promise, on the pairs it saw and on pairs that it did not."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from app.domain.arrays import Floats
from app.matching.calibration import Calibration
from tests.support.calibrations import DATA, MODEL, calibration
from training.calibration import fit
from training.evaluation.all_pairs import AllPairs, all_pairs
from training.evaluation.bootstrap import RULE_OF_THREE, interval, rate_curves
from training.pipeline.detection_cache import FaceFinder, embed_faces
from training.pipeline.served_model import ServedModel

PEOPLE = 60
IMPOSTORS = PEOPLE * (PEOPLE - 1) // 2
FRESH = 20_000
ONE_IN_A_BILLION = 1e-9
SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.tuples(st.floats(6, 20), st.floats(2, 8))  # of the strangers' beta distribution, stretched to [0, 4]
ALLOWED = st.integers(3, IMPOSTORS - 1)


def strangers(seed: int, shape: tuple[float, float], count: int) -> Floats:
    return np.sort(4 * np.random.default_rng(seed).beta(*shape, size=count)).astype(np.float32)


def pairs_of(genuine: Floats, impostors: Floats) -> AllPairs:
    """One photo of each person against one of every other, and one genuine pair each."""
    first, second = np.triu_indices(PEOPLE, 1)
    return AllPairs(
        genuine=np.sort(genuine),
        genuine_person=np.arange(PEOPLE, dtype=np.int32),
        impostors=np.sort(impostors),
        impostor_people=np.stack([first, second], axis=1).astype(np.int32),
        people=PEOPLE,
        images_of=np.ones(PEOPLE, np.int64),
    )


def calibrated(seed: int, shape: tuple[float, float]) -> tuple[Calibration, AllPairs]:
    genuine = 2 * np.random.default_rng(seed + 1).beta(2, 5, size=PEOPLE).astype(np.float32)
    pairs = pairs_of(genuine, strangers(seed, shape, IMPOSTORS))
    made = calibration(
        rates=fit.measured_rates(pairs),
        finest_fmr=RULE_OF_THREE / pairs.impostor_people_pairs,
        probability=fit.fit_probability(pairs.genuine, pairs.impostors),
    )
    return made, pairs


def share_matched(distances: Floats, threshold: float) -> float:
    return float(np.mean([distance <= threshold for distance in distances.tolist()]))


@settings(max_examples=25)
@given(seed=SEEDS, shape=SHAPES, allowed=ALLOWED)
def test_on_the_measured_pairs_the_fmr_is_kept_exactly(seed: int, shape: tuple[float, float], allowed: int) -> None:
    made, pairs = calibrated(seed, shape)
    fmr = allowed / IMPOSTORS
    point = made.at(fmr)
    assert share_matched(pairs.impostors, point.threshold) <= fmr
    assert share_matched(pairs.genuine, point.threshold) == pytest.approx(1 - (point.fnmr or 0))


@pytest.mark.slow
@settings(max_examples=25)
@given(seed=SEEDS, shape=SHAPES, allowed=ALLOWED)
def test_on_fresh_pairs_false_matches_stay_in_their_bound(seed: int, shape: tuple[float, float], allowed: int) -> None:
    made, _ = calibrated(seed, shape)
    fresh = strangers(seed + 2, shape, FRESH)
    matched = round(FRESH * share_matched(fresh, made.at(allowed / IMPOSTORS).threshold))
    # the true rate below the k-th of n measured distances is Beta(k, n + 1 - k), whatever their distribution
    bound = stats.betabinom.ppf(1 - ONE_IN_A_BILLION, FRESH, allowed + 1, IMPOSTORS - allowed)
    assert matched <= bound


@settings(max_examples=10)
@given(seed=SEEDS, shape=SHAPES)
def test_the_threshold_is_not_tighter_than_the_rate_needs(seed: int, shape: tuple[float, float]) -> None:
    made, pairs = calibrated(seed, shape)
    kept = [share_matched(pairs.impostors, made.at(fmr).threshold) for fmr in (0.01, 0.1)]
    assert kept == [pytest.approx(floored(fmr), abs=1.5 / IMPOSTORS) for fmr in (0.01, 0.1)]


@settings(max_examples=10)
@given(seed=SEEDS, shape=SHAPES)
def test_nearer_pairs_are_more_probably_one_person(seed: int, shape: tuple[float, float]) -> None:
    made, _ = calibrated(seed, shape)
    probabilities: NDArray[np.float64] = np.array([made.probability_at(d / 10) for d in range(41)])
    assert bool((np.diff(probabilities) <= 0).all())
    assert probabilities[0] > 0.5 > probabilities[-1]


@pytest.fixture(scope="module")
def halves(shared_data: Path, models_dir: Path) -> list[AllPairs]:
    """A photo or two of 400 people of lfw_dev each, through the served pipeline; nobody is in both."""
    folders = sorted(path for path in (shared_data / "lfw_dev").iterdir() if path.is_dir())
    finder, model = FaceFinder(models_dir), ServedModel.open(models_dir / "mobilefacenet-128")
    pairs = []
    for half in (folders[:800:2], folders[1:800:2]):
        seen = [(number, path) for number, folder in enumerate(half) for path in sorted(folder.iterdir())[:2]]
        sights = finder.find_all([path for _, path in seen], "detect")
        vectors, _ = embed_faces(model, sights)
        pairs.append(all_pairs(vectors, vectors, np.array([number for number, _ in seen])[sights.found]))
    return pairs


@pytest.mark.slow
@pytest.mark.timeout(600)  # its fixture reads 1,600 photos
@pytest.mark.parametrize("fmr", [1e-2, 1e-3, 1e-4])
def test_a_promise_made_on_half_of_the_people_is_kept_on_the_other_half(halves: list[AllPairs], fmr: float) -> None:
    seen, other = halves
    made = fit.fit_calibration(MODEL, DATA.model_copy(update={"name": "half of lfw_dev"}), seen)
    threshold = made.at(fmr).threshold
    kept, _ = rate_curves(other, np.array([threshold]), replicates=200)
    assert made.smallest_fmr < 1e-4
    assert interval(kept[1:, 0])[0] <= fmr  # no more than the promise, as far as these people can tell
    assert kept[0, 0] <= 2 * fmr


def floored(fmr: float) -> float:
    """The largest share of the impostors that is at most `fmr`."""
    return int(fmr * IMPOSTORS) / IMPOSTORS
