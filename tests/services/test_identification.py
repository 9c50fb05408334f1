"""Who of the enrolled colours is this?"""

from pathlib import Path

import pytest

from app.domain.errors import FaceNotFound, ModelMismatch, NotFound, UnsupportedOperatingPoint
from app.pipeline import FaceSelection
from app.services.identification import IdentificationResult
from app.services.timing import StageTimer
from tests.services.bench import Bench, open_bench, uploads
from tests.support.fakes import apart, photo
from tests.support.templates import template, unit

pytestmark = pytest.mark.anyio


async def identify(
    bench: Bench, *reds: int | None, wanted: FaceSelection = "largest", top_k: int = 5, **wishes: float
) -> IdentificationResult:
    asked = {"fpir": None, "threshold": None} | wishes
    (upload,) = uploads(photo(*reds))
    return await bench.identification.identify(
        upload, wanted, "guests", top_k=top_k, fpir=asked["fpir"], threshold=asked["threshold"], timer=StageTimer()
    )


def named(found: IdentificationResult) -> list[list[str]]:
    return [[candidate.subject_id for candidate in candidates] for candidates in found.candidates]


async def test_the_nearest_subjects_within_the_threshold_are_named_nearest_first(bench: Bench) -> None:
    await bench.enroll_reds("guests", "ada", 0)
    await bench.enroll_reds("guests", "bob", 60, 200)
    await bench.enroll_reds("guests", "cleo", 255)
    found = await identify(bench, 20, threshold=1.0)

    assert named(found) == [["ada", "bob"]]
    assert [candidate.rank for candidate in found.candidates[0]] == [1, 2]
    assert [candidate.distance.squared_l2 for candidate in found.candidates[0]] == [
        pytest.approx(apart(20, red), abs=1e-6) for red in (0, 60)
    ]


async def test_a_stranger_is_nobody(bench: Bench) -> None:
    await bench.enroll_reds("guests", "ada", 0)

    assert named(await identify(bench, 200)) == [[]]


async def test_top_k_keeps_the_nearest(bench: Bench) -> None:
    for name, red in (("ada", 0), ("bob", 10), ("cleo", 20)):
        await bench.enroll_reds("guests", name, red)

    assert named(await identify(bench, 21, top_k=2, threshold=4.0)) == [["cleo", "bob"]]


async def test_a_candidate_comes_with_its_face_metadata_and_probability(bench: Bench) -> None:
    _, face_id = await bench.enroll_reds("guests", "ada", 0, 100)
    bench.repository.put_subject("guests", "ada", {"name": "Ada"})
    ((candidate,),) = (await identify(bench, 100)).candidates

    assert (candidate.face_id, candidate.metadata) == (face_id, {"name": "Ada"})
    assert candidate.probability == pytest.approx(1 / (1 + 2.718281828**-10))


async def test_every_face_is_identified_where_all_are_wanted(bench: Bench) -> None:
    await bench.enroll_reds("guests", "ada", 0)
    await bench.enroll_reds("guests", "bob", 120)
    found = await identify(bench, 121, 250, 1, wanted="all")

    assert named(found) == [["bob"], [], ["ada"]]
    assert found.faces_found == 3


async def test_a_photo_without_a_face_is_an_error_unless_all_are_wanted(bench: Bench) -> None:
    await bench.enroll_reds("guests", "ada", 0)
    found = await identify(bench, None, wanted="all")

    assert (named(found), found.faces_found, found.gallery.id) == ([], 0, "guests")
    with pytest.raises(FaceNotFound) as caught:
        await identify(bench, None)
    assert caught.value.image == "image1"


async def test_the_threshold_tightens_with_the_gallery(bench: Bench) -> None:
    thresholds = []
    for name, red in (("ada", 0), ("bob", 120)):
        await bench.enroll_reds("guests", name, *range(red, red + 6))
        thresholds.append((await identify(bench, 0)).decision.point.threshold)

    assert thresholds == [1.0, 0.5]


async def test_an_fpir_or_a_threshold_that_was_asked_for_decides(bench: Bench) -> None:
    await bench.enroll_reds("guests", "ada", 0, 1)
    by_rate, by_threshold = await identify(bench, 0, fpir=0.02), await identify(bench, 0, threshold=0.25)

    assert (by_rate.decision.source, by_rate.decision.point.threshold) == ("fpir", 1.5)
    assert by_rate.decision.overall_fmr == pytest.approx(0.02)
    assert (by_threshold.decision.source, by_threshold.decision.point.threshold) == ("request", 0.25)


async def test_an_fpir_too_fine_for_the_gallery_is_refused(bench: Bench) -> None:
    await bench.enroll_reds("guests", "ada", *range(20))

    with pytest.raises(UnsupportedOperatingPoint):
        await identify(bench, 0, fpir=1e-3)


async def test_a_model_without_calibration_decides_by_the_usual_threshold(tmp_path: Path) -> None:
    async with open_bench(tmp_path, calibration=None) as bench:
        await bench.enroll_reds("guests", "ada", 0)
        near, far = await identify(bench, 85), await identify(bench, 95)

    assert (named(near), named(far)) == ([["ada"]], [[]])
    assert (near.decision.source, near.candidates[0][0].probability) == ("uncalibrated", None)


async def test_the_answer_tells_the_gallery_that_was_searched(bench: Bench) -> None:
    await bench.enroll_reds("guests", "ada", 0, 1)
    found = await identify(bench, 0)

    assert found.gallery == bench.repository.gallery("guests")
    assert found.decision.templates == 2


async def test_a_gallery_that_is_not_there_is_not_found_before_the_photo_is_opened(bench: Bench) -> None:
    with pytest.raises(NotFound, match="'guests'"):
        await identify(bench, None)


async def test_a_gallery_of_another_model_is_refused(bench: Bench) -> None:
    bench.repository.enroll("guests", "ada", [template("1", "ada", unit(1, 2))])

    with pytest.raises(ModelMismatch):
        await identify(bench, 0)
