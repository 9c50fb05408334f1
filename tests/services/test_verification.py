"""Decisions of /verify worked out by hand: reds 0 and 85 are a squared distance of 1 apart."""

from pathlib import Path

import pytest

from app.domain.errors import (
    FaceNotFound,
    InputError,
    InvalidImage,
    ModelMismatch,
    MultipleFaces,
    NotFound,
    UnsupportedOperatingPoint,
)
from app.faces.selection import FaceRule
from app.services.timing import StageTimer
from app.services.verification import VerificationResult
from tests.services.bench import Bench, open_bench, uploads
from tests.support.fakes import FakeEmbedder, apart, photo
from tests.support.templates import template, unit

pytestmark = pytest.mark.anyio
BROKEN, NO_FACE, ONE, TWO = b"no image", photo(None), photo(10), photo(10, 20)


async def pair(bench: Bench, first: bytes, second: bytes, **wishes: float) -> VerificationResult:
    asked = {"fmr": None, "threshold": None} | wishes
    return await bench.verification.pair(
        uploads(first, second), "largest", fmr=asked["fmr"], threshold=asked["threshold"], timer=StageTimer()
    )


async def subject(bench: Bench, red: int, **wishes: float) -> VerificationResult:
    asked = {"fmr": None, "threshold": None} | wishes
    (upload,) = uploads(photo(red))
    return await bench.verification.subject(
        upload, "largest", "guests", "ada", fmr=asked["fmr"], threshold=asked["threshold"], timer=StageTimer()
    )


@pytest.mark.parametrize(("red", "match"), [(0, True), (84, True), (86, False), (255, False)])
async def test_two_faces_match_up_to_the_calibrated_threshold(bench: Bench, red: int, match: bool) -> None:  # noqa: FBT001
    verified = await pair(bench, photo(0), photo(red))

    assert verified.comparison.distance.squared_l2 == pytest.approx(apart(0, red), abs=1e-6)
    assert (verified.decision.source, verified.decision.point.threshold) == ("default", 1.0)
    assert verified.comparison.match is match


async def test_an_fmr_or_a_threshold_that_was_asked_for_decides(bench: Bench) -> None:
    by_rate = await pair(bench, photo(0), photo(86), fmr=0.02)
    by_threshold = await pair(bench, photo(0), photo(86), threshold=0.9)

    assert (by_rate.comparison.match, by_rate.decision.source) == (True, "fmr")
    assert (by_threshold.comparison.match, by_threshold.decision.source) == (False, "request")


async def test_an_fmr_that_cannot_be_held_is_refused_before_a_photo_is_opened(bench: Bench) -> None:
    with pytest.raises(UnsupportedOperatingPoint):
        await pair(bench, BROKEN, BROKEN, fmr=1e-9)


async def test_the_probes_are_those_of_the_photos_in_order(bench: Bench) -> None:
    verified = await pair(bench, TWO, ONE)

    assert [probe.faces_found for probe in verified.probes] == [2, 1]
    assert verified.face_id is None


@pytest.mark.parametrize(
    ("first", "second", "error", "image"),
    [
        (BROKEN, NO_FACE, InvalidImage, "image1"),
        (NO_FACE, BROKEN, FaceNotFound, "image1"),
        (ONE, BROKEN, InvalidImage, "image2"),
        (ONE, NO_FACE, FaceNotFound, "image2"),
    ],
)
async def test_an_error_of_the_first_photo_is_told_before_one_of_the_second(
    bench: Bench, first: bytes, second: bytes, error: type[InputError], image: str
) -> None:
    with pytest.raises(error) as caught:
        await pair(bench, first, second)
    assert caught.value.image == image


@pytest.mark.parametrize(("rule", "red"), [("largest", 20), ("center", 20)])
async def test_the_rule_says_which_face_is_meant(bench: Bench, rule: FaceRule, red: int) -> None:
    images = uploads(photo(10, 20, 30), photo(red))
    verified = await bench.verification.pair(images, rule, fmr=None, threshold=None, timer=StageTimer())

    assert verified.comparison.distance.squared_l2 == 0


async def test_only_refuses_a_photo_of_several_with_their_boxes(bench: Bench) -> None:
    with pytest.raises(MultipleFaces) as caught:
        await bench.verification.pair(uploads(ONE, TWO), "only", fmr=None, threshold=None, timer=StageTimer())
    assert caught.value.image == "image2"
    assert [face.box.left for face in caught.value.faces] == [0, 112]


async def test_both_faces_are_embedded_in_one_run(tmp_path: Path) -> None:
    embedder = FakeEmbedder()
    async with open_bench(tmp_path, embedder=embedder) as bench:
        await pair(bench, ONE, ONE)

    assert embedder.batches == [2]


async def test_a_subject_is_compared_by_its_nearest_face(bench: Bench) -> None:
    _, nearest, _ = await bench.enroll_reds("guests", "ada", 0, 90, 255)
    verified = await subject(bench, 100)

    assert verified.face_id == nearest
    assert verified.comparison.distance.squared_l2 == pytest.approx(apart(90, 100), abs=1e-6)
    assert len(verified.probes) == 1


async def test_the_threshold_of_a_subject_is_chosen_for_as_many_comparisons_as_it_has_faces(bench: Bench) -> None:
    thresholds = []
    for red in (0, 1):
        await bench.enroll_reds("guests", "ada", red)
        thresholds.append((await subject(bench, 50)).decision.point.threshold)
    decision = (await subject(bench, 50, fmr=0.002)).decision

    assert thresholds == [1.0, 0.5]
    assert decision.templates == 2
    assert decision.point.threshold == 1.0
    assert decision.overall_fmr == pytest.approx(0.002)


async def test_a_subject_without_a_face_cannot_be_compared(bench: Bench) -> None:
    bench.repository.put_subject("guests", "ada", {})

    with pytest.raises(NotFound, match="'ada' has no enrolled face"):
        await subject(bench, 0)


async def test_a_subject_of_another_model_cannot_be_compared(bench: Bench) -> None:
    bench.repository.enroll("guests", "ada", [template("1", "ada", unit(1, 2))])

    with pytest.raises(ModelMismatch):
        await subject(bench, 0)
