"""Identification among enrolled colours."""

from pathlib import Path

import pytest

from app.domain.errors import FaceNotFound, InvalidRequest, ModelMismatch, NotFound
from app.domain.identity import Caller, Scope
from app.services.identification import IdentificationResult
from tests.support.fakes import apart, offset
from tests.support.templates import template, unit
from tests.unit.services.bench import ANYBODY as ADMIN
from tests.unit.services.bench import Bench, open_bench

pytestmark = pytest.mark.anyio


def named(result: IdentificationResult) -> list[list[str]]:
    return [[candidate.subject_id for candidate in candidates] for candidates in result.candidates]


async def test_candidates_are_the_subjects_within_the_threshold_nearest_first(bench: Bench) -> None:
    await bench.enroll_reds("ada", 0)
    await bench.enroll_reds("bob", 60, 200)
    await bench.enroll_reds("cleo", 255)
    result = await bench.identify(20, threshold=1.0)
    (candidates,) = result.candidates

    assert [(each.subject_id, each.rank) for each in candidates] == [("ada", 1), ("bob", 2)]
    assert [apart(20, 0), apart(20, 60)] == pytest.approx([0.06, 0.24], abs=5e-3)
    assert [each.comparison.distance.squared_l2 for each in candidates] == [0.0, 0.2]
    assert result.subject_ids == ["ada", "bob"]


async def test_candidate_has_face_metadata_and_probability(bench: Bench) -> None:
    _, face_id = await bench.enroll_reds("ada", 0, 100)
    bench.repository.put_subject("guests", "ada", {"name": "Ada"})
    ((candidate,),) = (await bench.identify(100)).candidates

    assert (candidate.face_id, candidate.metadata) == (face_id, {"name": "Ada"})
    middle_of_the_step = pytest.approx(1 / (1 + 2.718281828**-9.75))  # distance 0.05
    assert candidate.comparison.probability == middle_of_the_step


async def test_candidates_in_one_step_keep_the_order_of_their_exact_distances(bench: Bench) -> None:
    for name, red in (("ada", 8), ("bob", 2), ("cleo", 5)):
        await bench.enroll_reds(name, red)
    (candidates,) = (await bench.identify(0)).candidates

    assert [each.subject_id for each in candidates] == ["bob", "cleo", "ada"]
    assert {each.comparison.distance.squared_l2 for each in candidates} == {0.0}


async def test_a_caller_with_only_the_scope_identify_may_not_ask_for_everybody(bench: Bench) -> None:
    await bench.enroll_reds("ada", 0)
    caller = Caller("key:1", frozenset({Scope.IDENTIFY}))

    assert named(await bench.identify(0, caller=caller)) == [["ada"]]
    with pytest.raises(InvalidRequest, match=r"at most 1\.5 against enrolled faces, got 4"):
        await bench.identify(0, threshold=4.0, caller=caller)


async def test_all_faces_of_a_photo_can_be_identified(bench: Bench) -> None:
    await bench.enroll_reds("ada", 0)
    await bench.enroll_reds("bob", 120)
    result = await bench.identify(121, 250, 1, selection="all")

    assert (named(result), result.faces_found) == ([["bob"], [], ["ada"]], 3)


async def test_photo_without_a_face_is_an_error_unless_all_faces_are_selected(bench: Bench) -> None:
    await bench.enroll_reds("ada", 0)
    result = await bench.identify(None, selection="all")

    assert (named(result), result.faces_found, result.gallery.id) == ([], 0, "guests")
    with pytest.raises(FaceNotFound) as caught:
        await bench.identify(None)
    assert caught.value.image == "image1"


async def test_threshold_tightens_with_the_size_of_the_gallery(bench: Bench) -> None:
    thresholds = []
    for name, red in (("ada", 0), ("bob", 120)):
        await bench.enroll_reds(name, *range(red, red + 6))
        thresholds.append((await bench.identify(0)).decision.point.threshold)

    assert thresholds == [1.0, 0.5]


async def test_uncalibrated_model_decides_by_the_usual_threshold(tmp_path: Path) -> None:
    async with open_bench(tmp_path, calibration=None) as bench:
        await bench.enroll_reds("ada", 0)
        near, far = await bench.identify(85), await bench.identify(95)

    assert (named(near), named(far)) == ([["ada"]], [[]])
    assert (near.decision.source, near.candidates[0][0].comparison.probability) == ("uncalibrated", None)


async def test_a_candidate_has_the_threshold_for_its_pair(offset_bench: Bench) -> None:
    await offset_bench.enroll_reds("ada", 45)
    result = await offset_bench.identify(0)
    ((candidate,),) = result.candidates

    assert offset(45) == pytest.approx(0.2632, abs=1e-4)
    assert (result.decision.point.threshold, candidate.comparison.point.threshold) == (1.5, 1.23)


async def test_candidates_are_ordered_by_their_normalized_scores(offset_bench: Bench) -> None:
    await offset_bench.enroll_reds("crowded", 90)
    await offset_bench.enroll_reds("alone", 36)

    assert apart(64, 90) < apart(64, 36) < apart(64, 36) + offset(36) < apart(64, 90) + offset(90)
    assert named(await offset_bench.identify(64)) == [["alone", "crowded"]]
    assert named(await offset_bench.identify(64, top_k=1)) == [["alone"]]


async def test_with_a_threshold_of_the_caller_candidates_are_ordered_by_their_distances(offset_bench: Bench) -> None:
    await offset_bench.enroll_reds("crowded", 90)
    await offset_bench.enroll_reds("alone", 36)
    await offset_bench.enroll_reds("far", 127)

    assert apart(64, 127) + offset(64) + offset(127) > 1.0 > apart(64, 127)
    assert named(await offset_bench.identify(64, threshold=1.0)) == [["crowded", "alone", "far"]]
    assert named(await offset_bench.identify(64, threshold=1.0, top_k=1)) == [["crowded"]]


async def test_unknown_gallery_is_not_found_before_the_photo_is_opened(bench: Bench) -> None:
    with pytest.raises(NotFound, match="'guests'"):
        await bench.identify(None)


async def test_gallery_of_another_model_is_refused(bench: Bench) -> None:
    bench.repository.enroll("guests", "ada", [template("1", "ada", unit(1, 2))])

    with pytest.raises(ModelMismatch):
        await bench.identify(0)


IDENTIFIER = Caller("key:1", frozenset({Scope.IDENTIFY}))


async def test_a_subject_that_was_named_too_often_is_left_out_for_that_caller_alone(tmp_path: Path) -> None:
    async with open_bench(tmp_path, namings=2) as bench:
        for name, red in (("ada", 0), ("bob", 20), ("cleo", 40)):
            await bench.enroll_reds(name, red)
        seen = [named(await bench.identify(0, top_k=1, caller=IDENTIFIER)) for _ in range(3)]
        after = await bench.identify(0, caller=IDENTIFIER)
        others = [
            named(await bench.identify(0, caller=caller)) for caller in (Caller("key:2", IDENTIFIER.scopes), ADMIN)
        ]

    assert seen == [[["ada"]], [["ada"]], [["bob"]]]  # as if ada were beyond the threshold
    assert [(each.subject_id, each.rank) for each in after.candidates[0]] == [("bob", 1), ("cleo", 2)]
    assert others == [[["ada", "bob", "cleo"]]] * 2


async def test_each_face_of_a_photo_counts_as_an_answer(tmp_path: Path) -> None:
    async with open_bench(tmp_path, namings=2) as bench:
        await bench.enroll_reds("ada", 0)
        result = await bench.identify(0, 1, 2, selection="all", caller=IDENTIFIER)

    assert named(result) == [["ada"], ["ada"], []]


async def test_an_answer_that_names_nobody_does_not_count(tmp_path: Path) -> None:
    async with open_bench(tmp_path, namings=1) as bench:
        await bench.enroll_reds("ada", 0)
        strangers = [named(await bench.identify(255, caller=IDENTIFIER)) for _ in range(5)]
        known = named(await bench.identify(0, caller=IDENTIFIER))

    assert (strangers, known) == ([[[]]] * 5, [["ada"]])
