"""Decisions of /verify, computed by hand: the reds 0 and 85 have a squared distance of 1."""

import math
from pathlib import Path

import pytest

from app.domain.errors import (
    FaceNotFound,
    InputError,
    InvalidImage,
    InvalidRequest,
    ModelMismatch,
    MultipleFaces,
    NotFound,
    RateLimited,
    UnsupportedOperatingPoint,
)
from app.domain.identity import Caller, Scope
from app.faces.selection import ConfidentFaces
from app.services.timing import StageTimer
from app.services.verification import ComparedFaces
from tests.support.fakes import FakeEmbedder, apart, offset, photo
from tests.support.templates import template, unit
from tests.unit.services.bench import ANYBODY, Bench, open_bench, uploads

pytestmark = pytest.mark.anyio
VERIFIER = Caller("key:1", frozenset({Scope.VERIFY}))
BROKEN, NO_FACE, ONE, TWO = b"no image", photo(None), photo(10), photo(10, 20)


@pytest.mark.parametrize(("red", "match"), [(0, True), (84, True), (86, False), (255, False)])
async def test_faces_match_up_to_the_calibrated_threshold(bench: Bench, red: int, match: bool) -> None:  # noqa: FBT001
    result = await bench.verify(photo(0), photo(red))

    assert result.comparison.distance.squared_l2 == pytest.approx(apart(0, red), abs=1e-6)
    assert (result.decision.source, result.decision.point.threshold) == ("default", 1.0)
    assert result.comparison.match is match


async def test_unsupported_fmr_is_refused_before_a_photo_is_opened(bench: Bench) -> None:
    with pytest.raises(UnsupportedOperatingPoint):
        await bench.verify(BROKEN, BROKEN, fmr=1e-9)


@pytest.mark.parametrize(
    ("first", "second", "error", "image"),
    [
        (BROKEN, NO_FACE, InvalidImage, "image1"),
        (NO_FACE, BROKEN, FaceNotFound, "image1"),
        (ONE, BROKEN, InvalidImage, "image2"),
        (ONE, NO_FACE, FaceNotFound, "image2"),
    ],
)
async def test_first_error_in_the_order_of_the_photos_is_raised(
    bench: Bench, first: bytes, second: bytes, error: type[InputError], image: str
) -> None:
    with pytest.raises(error) as caught:
        await bench.verify(first, second)
    assert caught.value.image == image


async def test_both_faces_are_embedded_in_one_batch(tmp_path: Path) -> None:
    embedder = FakeEmbedder()
    async with open_bench(tmp_path, embedder=embedder) as bench:
        await bench.verify(ONE, ONE)

    assert embedder.batches == [2]


async def test_subject_is_compared_by_its_nearest_face(bench: Bench) -> None:
    _, nearest, _ = await bench.enroll_reds("ada", 0, 110, 255)
    result = await bench.verify_subject(150)

    assert apart(150, 110) == pytest.approx(0.237, abs=1e-3)
    assert (result.face_id, len(result.probes)) == (nearest, 1)
    assert result.comparison.distance.squared_l2 == 0.2


async def test_a_caller_with_only_the_scope_verify_learns_nothing_beyond_the_bound(bench: Bench) -> None:
    await bench.enroll_reds("ada", 0)
    answers = [await bench.verify_subject(red, caller=VERIFIER) for red in (150, 255)]

    assert answers[0].comparison == answers[1].comparison
    assert [answer.face_id for answer in answers] == [None, None]
    with pytest.raises(InvalidRequest, match="at most 1 against enrolled faces"):
        await bench.verify_subject(0, threshold=4.0, caller=VERIFIER)


async def test_the_threshold_for_two_photos_is_the_base_less_their_offsets(offset_bench: Bench) -> None:
    pair = photo(100), photo(150)
    crowded, plain = await offset_bench.verify(*pair), await offset_bench.verify(*pair, threshold=1.0)
    apart_from_crowd = await offset_bench.verify(photo(0), photo(50))

    assert apart(100, 150) == pytest.approx(apart(0, 50)) == pytest.approx(0.3677, abs=1e-4)
    assert crowded.comparison.point.threshold == pytest.approx(1.0 - offset(100) - offset(150))
    assert [each.comparison.match for each in (crowded, apart_from_crowd, plain)] == [False, True, True]
    assert (plain.comparison.point.threshold, plain.comparison.point.fmr) == (1.0, 1.0)
    assert crowded.comparison.probability == plain.comparison.probability


async def test_the_nearest_face_of_a_subject_has_the_smallest_normalized_score(offset_bench: Bench) -> None:
    crowded, alone = await offset_bench.enroll_reds("ada", 90, 36)
    by_score, plain = await offset_bench.verify_subject(64), await offset_bench.verify_subject(64, threshold=1.0)

    assert apart(64, 90) < apart(64, 36) < apart(64, 36) + offset(36) < apart(64, 90) + offset(90)
    assert (by_score.face_id, plain.face_id) == (alone, crowded)
    assert by_score.decision.point.threshold == 0.5
    assert not by_score.comparison.match
    assert by_score.comparison.point.threshold == math.floor(100 * (0.5 - offset(64) - offset(36))) / 100


async def test_threshold_for_a_subject_allows_for_one_comparison_per_face(bench: Bench) -> None:
    thresholds = []
    for red in (0, 1):
        await bench.enroll_reds("ada", red)
        thresholds.append((await bench.verify_subject(50)).decision.point.threshold)
    decision = (await bench.verify_subject(50, fmr=0.002)).decision

    assert thresholds == [1.0, 0.5]
    assert (decision.templates, decision.point.threshold) == (2, 1.0)
    assert decision.overall_fmr == pytest.approx(0.002)


async def test_attempts_on_a_subject_are_limited_whether_they_match_or_not(tmp_path: Path) -> None:
    async with open_bench(tmp_path, attempts=2) as bench:
        await bench.enroll_reds("ada", 0)
        await bench.enroll_reds("bob", 200)
        answers = [await bench.verify_subject(red, caller=VERIFIER) for red in (0, 255)]
        with pytest.raises(RateLimited):
            await bench.verify_subject(0, caller=VERIFIER)
        other = await bench.verify_subject(200, "bob", caller=VERIFIER)
        admin = await bench.verify_subject(0)

    assert [each.comparison.match for each in (*answers, other, admin)] == [True, False, True, True]


async def test_requests_that_are_refused_anyway_are_not_counted_as_attempts(tmp_path: Path) -> None:
    async with open_bench(tmp_path, attempts=1) as bench:
        await bench.enroll_reds("ada", 0)
        with pytest.raises(InvalidRequest):
            await bench.verify_subject(0, threshold=4.0, caller=VERIFIER)

        assert (await bench.verify_subject(0, caller=VERIFIER)).comparison.match


async def test_a_caller_who_may_not_know_the_subjects_gets_the_answer_of_a_stranger(tmp_path: Path) -> None:
    async with open_bench(tmp_path, attempts=2) as bench:
        for subject in ("ada", "bob"):
            await bench.enroll_reds(subject, 0, 1)
        bench.repository.put_subject("guests", "faceless", {})
        missing = [await bench.verify_subject(0, name, caller=VERIFIER) for name in ("a", "az", "faceless", "zoe")]
        stranger = await bench.verify_subject(255, "ada", caller=VERIFIER)
        await bench.verify_subject(0, "zoe", caller=VERIFIER)
        with pytest.raises(RateLimited):
            await bench.verify_subject(0, "zoe", caller=VERIFIER)

    assert [(each.comparison, each.face_id) for each in missing] == [(stranger.comparison, None)] * 4
    assert [each.decision.templates for each in missing] == [stranger.decision.templates] * 4 == [2] * 4


async def test_subject_without_a_face_is_not_found(bench: Bench) -> None:
    bench.repository.put_subject("guests", "ada", {})

    with pytest.raises(NotFound, match="'ada' has no enrolled face"):
        await bench.verify_subject(0)


async def test_subject_of_another_model_is_refused(bench: Bench) -> None:
    bench.repository.enroll("guests", "ada", [template("1", "ada", unit(1, 2))])

    with pytest.raises(ModelMismatch):
        await bench.verify_subject(0)


async def test_each_face_of_a_photo_is_compared_with_the_one_of_another(bench: Bench) -> None:
    source, target = uploads(photo(0), photo(0, 85, 255))
    everyone, only = ConfidentFaces(), ConfidentFaces(only=True)
    result = await bench.verification.all_faces(source, target, only, everyone, timer=StageTimer())
    distances = [each.distance.squared_l2 for each in result.comparisons]

    assert distances == pytest.approx([0, apart(0, 85), apart(0, 255)], abs=1e-6)
    assert result.source is not None
    assert [probe.faces_found for probe in (result.source, *result.probes)] == [1, 3, 3, 3]
    with pytest.raises(MultipleFaces):
        await bench.verification.all_faces(target, source, only, everyone, timer=StageTimer())


async def test_comparisons_with_an_enrolled_face_are_released_as_those_with_a_subject(bench: Bench) -> None:
    (face,) = await bench.enroll_reds("ada", 0)
    for caller in (VERIFIER, ANYBODY):
        result = await compared_with_face(bench, face, 0, 80, 255, caller=caller)
        one_by_one = [await bench.verify_subject(red, caller=caller) for red in (0, 80, 255)]
        assert result.subject_id == "ada"
        assert result.comparisons == [each.comparison for each in one_by_one]


async def test_every_face_that_is_compared_with_an_enrolled_one_is_an_attempt(tmp_path: Path) -> None:
    async with open_bench(tmp_path, attempts=3) as bench:
        (face,) = await bench.enroll_reds("ada", 0)
        await compared_with_face(bench, face, 0, 255, caller=VERIFIER)
        with pytest.raises(RateLimited):
            await compared_with_face(bench, face, 0, 255, caller=VERIFIER)
        assert len((await compared_with_face(bench, face, *range(9))).comparisons) == 9


async def test_an_enrolled_face_that_is_not_there_cannot_be_compared(bench: Bench) -> None:
    await bench.enroll_reds("ada", 0)
    with pytest.raises(NotFound):
        await compared_with_face(bench, "none", 0)


async def compared_with_face(bench: Bench, face_id: str, *reds: int, caller: Caller = ANYBODY) -> ComparedFaces:
    (upload,) = uploads(photo(*reds))
    return await bench.verification.enrolled_face(
        upload, ConfidentFaces(), "guests", face_id, caller=caller, timer=StageTimer()
    )
