"""
How near somebody comes to an enrolled template who knows the vectors of the probes and reads the answers about them.

The answers are those of the service's own code (`ScoreRelease`). Strangers are unit vectors that match about as often
as the calibration of the shipped model says. The attackers know the network and the distribution of its vectors, and
compute the vectors of their photos themselves:

- least squares over photos of strangers: each answer gives bounds of a cosine, and the fit violates them least;
- hill climbing: strangers until one is within the bound, then probes round the present estimate, which is fitted to
  all answers again after each round. This attacker gets a photo of whatever vector it asks for, which is more than
  any camera gives, and so it shows what the answers themselves reveal.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

from app.access.subject_attempts import SubjectAttempts
from app.domain.errors import RateLimited
from app.domain.identity import Caller, Scope
from app.domain.models import Distance, FacePair
from app.inference.manifest import read_embedder
from app.matching.calibration import read_calibration
from app.matching.score_release import DISTANCE_STEP, ScoreRelease, ScoreReleasePolicy, largest_threshold
from app.matching.threshold_policy import ThresholdPolicy
from app.settings import Settings
from tests.proof.lengths import length, report
from tests.support.server import REPOSITORY

Vectors: TypeAlias = npt.NDArray[np.floating]
MODEL = REPOSITORY / "models" / "mobilefacenet-128"
DIMENSION = 128
VARIANCES = np.arange(DIMENSION, 0, -1) ** 1.5 / np.sum(np.arange(DIMENSION, 0, -1) ** 1.5)
"""Along each axis; cosines of strangers then have a standard deviation of 0.11, and the bound an FMR of 0.001."""
RIDGE = np.diag((DISTANCE_STEP / 2) ** 2 / 12 / VARIANCES)  # the variance of a rounded cosine over that of a template
HOUR: int = Settings.model_fields["subject_attempts_per_hour"].default
PROBES = length(2_000, 10_000)
PEOPLE = range(length(2, 8))
ROUND = 50


@dataclass
class Knowledge:
    """The probes of an attacker, and between which cosines each of them lies."""

    probes: Vectors
    low: Vectors
    high: Vectors

    def learn(self, release: ScoreRelease, template: Vectors, probes: Vectors) -> float:
        """Ask the service about `probes`; return the share of them that is within the bound."""
        cosines = np.array([bounds(release, float(cosine)) for cosine in probes @ template])
        self.probes = np.vstack([self.probes, probes])
        self.low, self.high = np.append(self.low, cosines[:, 0]), np.append(self.high, cosines[:, 1])
        return float((cosines[:, 0] > -1).mean())

    def estimate(self, steps: int = 8) -> Vectors:
        """Fit a vector: answers within the bound are taken at the middle of their step, others only if violated."""
        within = self.low > -1
        targets = np.where(within, (self.low + self.high) / 2, self.high)
        fitted: Vectors = np.zeros(DIMENSION)
        for _ in range(steps):
            used = within | (self.probes @ fitted > self.high)
            rows = self.probes[used]
            fitted = np.linalg.solve(rows.T @ rows + RIDGE, rows.T @ targets[used])
        return normalized(fitted)


def nothing() -> Knowledge:
    return Knowledge(np.empty((0, DIMENSION)), np.empty(0), np.empty(0))


def bounds(release: ScoreRelease, cosine: float) -> tuple[float, float]:
    """Return what the answer reveals about the cosine of a probe: the least and the largest that it can be."""
    compared = release.compare(FacePair(Distance(min(4.0, max(0.0, 2 - 2 * cosine)))))
    distance, threshold = compared.distance.squared_l2, compared.point.threshold
    if compared.match:
        return 1 - min(distance + DISTANCE_STEP, threshold) / 2, 1 - distance / 2
    nearest = 1 - max(distance - DISTANCE_STEP, threshold) / 2
    return (1 - distance / 2 if release.is_within_bound(compared) else -1.0), nearest


def normalized(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12))


def strangers(random: np.random.Generator, count: int) -> Vectors:
    return normalized(random.normal(size=(count, DIMENSION)) * np.sqrt(VARIANCES))


def policy() -> ScoreReleasePolicy:
    calibration = read_calibration(MODEL, read_embedder(MODEL).file.digest)
    thresholds = ThresholdPolicy(calibration, default_fmr=1e-4, default_fpir=0.01)
    return ScoreReleasePolicy(thresholds, largest_threshold(thresholds))


def answering(*, unrestricted: bool = False) -> ScoreRelease:
    return policy().for_verification(fmr=None, threshold=None, templates=1, unrestricted=unrestricted)


def by_least_squares(release: ScoreRelease, number: int, probes: int) -> float:
    template, random = person(number)
    knowledge = nothing()
    knowledge.learn(release, template, strangers(random, probes))
    return float(knowledge.estimate() @ template)


def by_hill_climbing(release: ScoreRelease, number: int) -> dict[int, float]:
    """Return the cosine that is reached after each round, by the number of probes used."""
    template, random = person(number)
    knowledge, reached, nearness = nothing(), dict[int, float](), 0.9
    estimate: Vectors = np.zeros(DIMENSION)
    for probes in range(ROUND, PROBES + 1, ROUND):
        if not estimate.any():
            knowledge.learn(release, template, strangers(random, ROUND))
        else:
            share = knowledge.learn(release, template, around(estimate, nearness, random))
            nearness = min(0.99, nearness * 1.1) if share < 0.5 else nearness / 1.05
        if (knowledge.low > -1).any():
            estimate = knowledge.estimate()
        reached[probes] = float(estimate @ template)
    return reached


def around(estimate: Vectors, nearness: float, random: np.random.Generator) -> Vectors:
    """Return probes at the cosine `nearness` to the estimate, in random directions from it."""
    directions = strangers(random, ROUND)
    directions = normalized(directions - np.outer(directions @ estimate, estimate))
    return np.asarray(nearness * estimate + np.sqrt(1 - nearness**2) * directions)


def over_people(reached: list[float]) -> str:
    return f"median {np.median(reached):.3f}, highest {max(reached):.3f}"


def person(number: int) -> tuple[Vectors, np.random.Generator]:
    random = np.random.default_rng(number)
    return strangers(random, 1)[0], random


def test_strangers_match_about_as_often_as_the_calibration_says() -> None:
    random = np.random.default_rng(0)
    distances = 2 - 2 * (strangers(random, 2_000) @ strangers(random, 2_000).T)

    assert 0.7e-3 < (distances <= policy().max_threshold).mean() < 1.5e-3


@pytest.mark.parametrize("number", PEOPLE)
def test_exact_answers_give_the_template_away(number: int) -> None:
    template, random = person(number)
    probes = strangers(random, 160)
    cosines = 1 - (2 - 2 * probes @ template) / 2
    solved = normalized(np.linalg.lstsq(probes, cosines)[0])

    assert solved @ template > 0.999


def test_rounding_alone_would_not_be_enough() -> None:
    release = answering(unrestricted=True)
    reached = [by_least_squares(release, number, PROBES) for number in PEOPLE]
    report(f"least squares, steps without a bound, {PROBES} strangers: {over_people(reached)}")

    assert np.median(reached) > 0.98


@pytest.mark.parametrize(("probes", "highest"), [(160, 0.6), (1_000, 0.7), (PROBES, 0.85)])
def test_least_squares_over_strangers_stays_far_from_the_template(probes: int, highest: float) -> None:
    reached = [by_least_squares(answering(), number, probes) for number in PEOPLE]
    report(f"least squares, {probes} strangers: {over_people(reached)}")

    assert max(reached) < highest


def test_of_the_probes_sent_in_one_hour_only_the_first_are_answered() -> None:
    attempts, caller, answered = SubjectAttempts(HOUR), Caller("key:1", frozenset({Scope.VERIFY})), 0
    for _ in range(PROBES):
        with suppress(RateLimited):
            attempts.acquire(caller, "guests", "ada")
            answered += 1

    assert answered == HOUR


def test_hill_climbing_with_any_vector_is_held_by_the_limit_on_attempts_alone() -> None:
    runs = [by_hill_climbing(answering(), number) for number in PEOPLE]
    for probes in (HOUR, 10 * HOUR, PROBES):
        report(f"hill climbing, {probes} probes: {over_people([run[probes] for run in runs])}")

    assert np.median([run[HOUR] for run in runs]) < 0.5
    assert max(run[HOUR] for run in runs) < 0.8
    assert np.median([run[PROBES] for run in runs]) > 0.9
