"""Decisions of /verify, computed by hand: the reds 0 and 85 have a squared distance of 1."""

from pathlib import Path

import pytest

from app.domain.errors import (
    FaceNotFound,
    InputError,
    InvalidImage,
    ModelMismatch,
    NotFound,
    UnsupportedOperatingPoint,
)
from tests.support.fakes import FakeEmbedder, apart, photo
from tests.support.templates import template, unit
from tests.unit.services.bench import Bench, open_bench

pytestmark = pytest.mark.anyio
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
    _, nearest, _ = await bench.enroll_reds("ada", 0, 90, 255)
    result = await bench.verify_subject(100)

    assert (result.face_id, len(result.probes)) == (nearest, 1)
    assert result.comparison.distance.squared_l2 == pytest.approx(apart(90, 100), abs=1e-6)


async def test_threshold_for_a_subject_allows_for_one_comparison_per_face(bench: Bench) -> None:
    thresholds = []
    for red in (0, 1):
        await bench.enroll_reds("ada", red)
        thresholds.append((await bench.verify_subject(50)).decision.point.threshold)
    decision = (await bench.verify_subject(50, fmr=0.002)).decision

    assert thresholds == [1.0, 0.5]
    assert (decision.templates, decision.point.threshold) == (2, 1.0)
    assert decision.overall_fmr == pytest.approx(0.002)


async def test_subject_without_a_face_is_not_found(bench: Bench) -> None:
    bench.repository.put_subject("guests", "ada", {})

    with pytest.raises(NotFound, match="'ada' has no enrolled face"):
        await bench.verify_subject(0)


async def test_subject_of_another_model_is_refused(bench: Bench) -> None:
    bench.repository.enroll("guests", "ada", [template("1", "ada", unit(1, 2))])

    with pytest.raises(ModelMismatch):
        await bench.verify_subject(0)
