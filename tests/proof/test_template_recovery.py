"""
How near somebody comes to an enrolled template who knows the vectors of the probes and reads the answers about them.

The answers are those of the service's own code (`ScoreRelease`), of /verify about a subject or of /identify, which says
something only of subjects within the threshold. Simulated strangers are unit vectors that match about as often as the
calibration of the shipped model says; test_recovery_from_photos.py has vectors of real photos. The attackers know the
network and the distribution of its vectors, and compute the vectors of their photos themselves:

- least squares over photos of strangers: each answer gives bounds of a cosine, and the fit violates them least;
- hill climbing: strangers until one is within the bound, then probes round the present estimate, which is fitted to
  all answers again after each round. This attacker gets a photo of whatever vector it asks for, which is more than
  any camera gives, and so it shows what the answers themselves reveal.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

from app.access.subject_attempts import SubjectAttempts
from app.domain.comparisons import Distance, FacePair
from app.domain.errors import RateLimited
from app.domain.identity import Caller, Scope
from app.inference.manifest import read_embedder
from app.matching.calibration import read_calibration
from app.matching.score_release import DISTANCE_STEP, MAX_FMR, ScoreRelease, ScoreReleasePolicy, largest_threshold
from app.matching.threshold_policy import ThresholdPolicy
from app.settings import Settings
from tests.support.lengths import length, report
from tests.support.server import REPOSITORY

Vectors: TypeAlias = npt.NDArray[np.floating]
Answer: TypeAlias = Callable[[float], tuple[float, float]]
"""The bounds that an answer reveals of the cosine of a probe: the least and the largest; -1 is no bound."""
MODEL = REPOSITORY / "models" / "mobilefacenet-128"
DIMENSION = 128
TEMPLATES = 1000
OFFSET = -0.246
"""The sum of the threshold offsets of two average people of `lfw_dev`, which the simulated ones stand for."""
VARIANCES = np.arange(DIMENSION, 0, -1) ** 1.5 / np.sum(np.arange(DIMENSION, 0, -1) ** 1.5)
"""Along each axis; cosines of strangers then have a standard deviation of 0.11, and the bound an FMR of 0.001."""
RIDGE = np.diag((DISTANCE_STEP / 2) ** 2 / 12 / VARIANCES)  # the variance of a rounded cosine over that of a template
HOUR: int = Settings.model_fields["subject_attempts_per_hour"].default
NAMED_PER_HOUR: int = Settings.model_fields["subject_namings_per_hour"].default
PROBES = 10_000
PEOPLE = range(length(2, 8))
ROUND = 50


@dataclass
class Knowledge:
    """The probes of an attacker, and between which cosines each of them lies."""

    ridge: Vectors = field(default_factory=lambda: RIDGE)
    probes: Vectors = field(default_factory=lambda: np.empty((0, DIMENSION)))
    low: Vectors = field(default_factory=lambda: np.empty(0))
    high: Vectors = field(default_factory=lambda: np.empty(0))

    @property
    def within(self) -> int:
        """Return the number of answers that gave a distance."""
        return int((self.low > -1).sum())

    def learn(self, answer: Answer, template: Vectors, probes: Vectors) -> float:
        """Ask the service about `probes`; return the share of them that is within the bound."""
        cosines = np.array([answer(float(cosine)) for cosine in probes @ template])
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
            fitted = np.linalg.solve(rows.T @ rows + self.ridge, rows.T @ targets[used])
        return normalized(fitted)


def verified(release: ScoreRelease, cosine: float) -> tuple[float, float]:
    """The answer of a verification."""
    compared = release.compare(pair_at(cosine))
    distance, threshold = compared.distance.squared_l2, compared.point.threshold
    if compared.match:
        return 1 - min(distance + DISTANCE_STEP, threshold) / 2, 1 - distance / 2
    nearest = 1 - max(distance - DISTANCE_STEP, threshold) / 2
    return (1 - distance / 2 if release.is_within_bound(compared) else -1.0), nearest


def identified(release: ScoreRelease, cosine: float) -> tuple[float, float]:
    """The answer of an identification: whoever is not within the threshold is not named."""
    low, high = verified(release, cosine)
    pair = pair_at(cosine)
    threshold = release.decision.threshold_for(pair)
    return (low, high) if pair.distance.squared_l2 <= threshold else (-1.0, 1 - threshold / 2)


def pair_at(cosine: float) -> FacePair:
    return FacePair(Distance(min(4.0, max(0.0, 2 - 2 * cosine))), OFFSET)


def normalized(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12))


def strangers(random: np.random.Generator, count: int) -> Vectors:
    return normalized(random.normal(size=(count, DIMENSION)) * np.sqrt(VARIANCES))


def policy() -> ScoreReleasePolicy:
    manifest = read_embedder(MODEL)
    calibration = read_calibration(MODEL, manifest.file.digest, manifest.offset_digest)
    thresholds = ThresholdPolicy(calibration, default_fmr=1e-4, default_fpir=0.01)
    return ScoreReleasePolicy(thresholds, largest_threshold(thresholds))


def by_verifying(*, unrestricted: bool = False) -> Answer:
    return partial(
        verified, policy().for_verification(fmr=MAX_FMR, threshold=None, templates=1, unrestricted=unrestricted)
    )


def by_identifying() -> Answer:
    """With the largest rate that the key may ask for: a plain threshold would not be raised by the offsets."""
    widest = 1 - (1 - MAX_FMR) ** TEMPLATES
    return partial(
        identified, policy().for_identification(fpir=widest, threshold=None, templates=TEMPLATES, unrestricted=False)
    )


class Progress(NamedTuple):
    """The cosine that is reached after so many probes, of which so many gave a distance."""

    probes: int
    within: int
    cosine: float


def by_least_squares(answer: Answer, number: int, probes: int) -> float:
    template, random = person(number)
    knowledge = Knowledge()
    knowledge.learn(answer, template, strangers(random, probes))
    return float(knowledge.estimate() @ template)


def by_hill_climbing(answer: Answer, number: int) -> list[Progress]:
    """Return the progress after each round."""
    template, random = person(number)
    knowledge, reached, nearness = Knowledge(), list[Progress](), 0.9
    estimate: Vectors = np.zeros(DIMENSION)
    for probes in range(ROUND, PROBES + 1, ROUND):
        if not estimate.any():
            knowledge.learn(answer, template, strangers(random, ROUND))
        else:
            share = knowledge.learn(answer, template, around(estimate, nearness, random))
            nearness = min(0.99, nearness * 1.1) if share < 0.5 else nearness / 1.05
        if (knowledge.low > -1).any():
            estimate = knowledge.estimate()
        reached.append(Progress(probes, knowledge.within, float(estimate @ template)))
    return reached


def after_probes(run: list[Progress], probes: int) -> float:
    return next(each.cosine for each in run if each.probes == probes)


def after_namings(run: list[Progress], namings: int) -> float:
    """Return the cosine of the last round within the limit; all rounds, if so many were never named."""
    return [each.cosine for each in run if each.within <= namings][-1]


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

    assert 0.7e-3 < (distances + OFFSET <= policy().max_threshold).mean() < 1.5e-3


@pytest.mark.parametrize("number", PEOPLE)
def test_exact_answers_give_the_template_away(number: int) -> None:
    template, random = person(number)
    probes = strangers(random, 160)
    cosines = 1 - (2 - 2 * probes @ template) / 2
    solved = normalized(np.linalg.lstsq(probes, cosines)[0])

    assert solved @ template > 0.999


def test_rounding_alone_would_not_be_enough() -> None:
    answer = by_verifying(unrestricted=True)
    reached = [by_least_squares(answer, number, PROBES) for number in PEOPLE]
    report(f"least squares, steps without a bound, {PROBES} strangers: {over_people(reached)}")

    assert np.median(reached) > 0.98


@pytest.mark.parametrize("answer", [by_verifying(), by_identifying()], ids=["verify", "identify"])
@pytest.mark.parametrize(("probes", "highest"), [(160, 0.6), (1_000, 0.7), (PROBES, 0.85)])
def test_least_squares_over_strangers_stays_far_from_the_template(answer: Answer, probes: int, highest: float) -> None:
    reached = [by_least_squares(answer, number, probes) for number in PEOPLE]
    report(f"least squares, {probes} strangers: {over_people(reached)}")

    assert max(reached) < highest


def test_of_the_probes_sent_in_one_hour_only_the_first_are_answered() -> None:
    attempts, caller, answered = SubjectAttempts(HOUR), Caller("key:1", frozenset({Scope.VERIFY})), 0
    for _ in range(PROBES):
        with suppress(RateLimited):
            attempts.acquire(caller, "guests", "ada")
            answered += 1

    assert answered == HOUR


def test_of_the_photos_sent_in_one_hour_only_the_first_name_a_subject() -> None:
    namings, caller = SubjectAttempts(NAMED_PER_HOUR), Caller("key:1", frozenset({Scope.IDENTIFY}))
    named = [namings.admit(caller, "guests", "ada") for _ in range(PROBES)]

    assert named == [True] * NAMED_PER_HOUR + [False] * (PROBES - NAMED_PER_HOUR)
    assert namings.exhausted(caller, "guests") == {"ada"}


def test_hill_climbing_by_verifying_is_held_by_the_limit_on_attempts() -> None:
    runs = [by_hill_climbing(by_verifying(), number) for number in PEOPLE]
    for probes in (HOUR, 10 * HOUR, PROBES):
        report(f"hill climbing, {probes} probes: {over_people([after_probes(run, probes) for run in runs])}")

    assert np.median([after_probes(run, HOUR) for run in runs]) < 0.5
    assert max(after_probes(run, HOUR) for run in runs) < 0.8
    assert np.median([after_probes(run, PROBES) for run in runs]) > 0.9


def test_hill_climbing_by_identifying_is_held_by_the_limit_on_namings() -> None:
    runs = [by_hill_climbing(by_identifying(), number) for number in PEOPLE]
    for namings in (NAMED_PER_HOUR, 3 * NAMED_PER_HOUR, 10 * NAMED_PER_HOUR):
        reached = [after_namings(run, namings) for run in runs]
        report(f"hill climbing by identifying, {namings} namings: {over_people(reached)}")
    used = [next((each.probes for each in run if each.within > NAMED_PER_HOUR), PROBES) for run in runs]
    report(f"probes for {NAMED_PER_HOUR} namings: {used}")

    assert np.median([after_namings(run, NAMED_PER_HOUR) for run in runs]) < 0.95
    assert np.median([after_namings(run, 3 * NAMED_PER_HOUR) for run in runs]) > 0.95
