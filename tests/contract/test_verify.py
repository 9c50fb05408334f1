"""POST /verify: the answer, and the operating point that it is based on."""

import math
import time
from functools import partial

import pytest

from tests.support.answers import assert_are_timings, is_share, problem, verification
from tests.support.api import Api, at_once, part
from tests.support.photos import COLLINS, COLLINS_AGAIN, HOPPER, HOPPER_AGAIN, collins, hopper, jpeg, real, variants

PEOPLE = {"hopper": hopper, "collins": collins}


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("variant", ["cropped", "half the size", "brighter", "darker", "poor JPEG"])
def test_variants_of_one_photo_match(api: Api, person: str, variant: str) -> None:
    photo = PEOPLE[person]()
    body = verification(api.verify(jpeg(photo), variants(photo)[variant]))
    assert body["match"] is True
    assert body["probability"] > 0.9


def test_two_people_do_not_match(api: Api) -> None:
    body = verification(api.verify(HOPPER, COLLINS))
    assert body["match"] is False
    assert body["probability"] < 0.1


def test_the_same_bytes_twice_are_at_no_distance(api: Api) -> None:
    body = verification(api.verify(HOPPER, HOPPER))
    assert body["distance"] < 1e-4
    assert body["similarity"] > 0.9999


def test_swapping_the_images_changes_only_their_order(api: Api) -> None:
    there, back = verification(api.verify(HOPPER_AGAIN, HOPPER)), verification(api.verify(HOPPER, HOPPER_AGAIN))
    assert math.isclose(there["distance"], back["distance"], abs_tol=1e-4)
    assert there["distance"] > 1e-3
    assert [face["box"] for face in there["faces"]] == [face["box"] for face in reversed(back["faces"])]


def test_the_default_threshold_is_the_calibrated_one_at_one_false_match_in_ten_thousand(api: Api) -> None:
    threshold = verification(api.verify(HOPPER, COLLINS))["threshold"]
    assert threshold["source"] == "default"
    assert 1.0 <= threshold["distance"] <= 1.3
    assert 0 < threshold["fmr"] <= 1.0001e-4
    assert is_share(threshold["fnmr"])


def test_a_looser_fmr_gives_a_larger_threshold_and_misses_fewer(api: Api) -> None:
    strict, middle, loose = (
        verification(api.verify(HOPPER, COLLINS, fmr=fmr))["threshold"] for fmr in ("0.0001", "0.001", "0.01")
    )
    assert middle["source"] == "fmr"
    assert 0 < middle["fmr"] <= 0.001001
    assert strict["distance"] < middle["distance"] < loose["distance"]
    assert strict["fnmr"] >= loose["fnmr"]


@pytest.mark.parametrize(("threshold", "match"), [("0.0001", False), ("4", True)])
def test_a_threshold_of_the_caller_decides(api: Api, threshold: str, match: object) -> None:
    body = verification(api.verify(HOPPER, COLLINS, threshold=threshold))
    assert body["match"] is match
    assert body["threshold"]["source"] == "request"
    assert body["threshold"]["distance"] == float(threshold)


def test_an_fmr_and_a_threshold_together_contradict_each_other(api: Api) -> None:
    problem(api.verify(HOPPER, COLLINS, fmr="0.001", threshold="1.1"), 422, "invalid_request")


def test_an_fmr_finer_than_the_calibration_supports_is_refused(api: Api) -> None:
    problem(api.verify(HOPPER, COLLINS, fmr="1e-12"), 422, "unsupported_operating_point")


def test_the_timings_are_milliseconds_within_the_time_the_caller_waited(api: Api) -> None:
    began = time.monotonic()
    timings = verification(api.verify(HOPPER, COLLINS))["timings_ms"]
    assert_are_timings(timings)
    assert timings["total"] <= (time.monotonic() - began) * 1000
    assert timings["detect"] > 0
    assert timings["embed"] > 0


def test_the_distance_is_that_of_the_two_embeddings(api: Api) -> None:
    first, second = (result["faces"][0]["embedding"] for result in api.embed(HOPPER, COLLINS).json()["results"])
    distance = sum((a - b) ** 2 for a, b in zip(first, second, strict=True))
    assert math.isclose(verification(api.verify(HOPPER, COLLINS))["distance"], distance, abs_tol=1e-3)


def test_the_threshold_for_a_pair_is_the_base_less_the_offsets_of_both_faces(api: Api) -> None:
    first, second = (result["faces"][0]["threshold_offset"] for result in api.embed(HOPPER, COLLINS).json()["results"])
    threshold = verification(api.verify(HOPPER, COLLINS))["threshold"]
    plain = verification(api.verify(HOPPER, COLLINS, threshold="0.8"))["threshold"]
    assert math.isclose(threshold["distance"], threshold["base"] - first - second, abs_tol=1e-3)
    assert (plain["distance"], plain["base"]) == (0.8, 0.8)


def test_real_photos_of_one_man_match_and_of_another_do_not(api: Api) -> None:
    obama, again, biden = real("obama.jpg"), real("obama2.jpg"), real("biden.jpg")
    assert verification(api.verify(obama, again))["match"] is True
    assert verification(api.verify(obama, biden))["match"] is False
    assert verification(api.verify(again, biden))["match"] is False


def test_the_first_image_is_image1_in_any_order_of_the_parts(api: Api) -> None:
    swapped = verification(api.post("/verify", part("image2", COLLINS), part("image1", HOPPER)))
    plain = verification(api.verify(HOPPER, COLLINS))
    assert [face["box"] for face in swapped["faces"]] == [face["box"] for face in plain["faces"]]


def test_answers_and_refusals_at_once_are_not_mixed_up(api: Api) -> None:
    pairs = [(HOPPER, HOPPER_AGAIN), (HOPPER, COLLINS), (COLLINS, COLLINS_AGAIN)]
    alone = [verification(api.verify(*pair))["distance"] for pair in pairs]
    together = at_once([partial(api.verify, *pair) for pair in [*pairs, (HOPPER, b"no image")] * 4])
    for response, distance in zip(together, [*alone, None] * 4, strict=True):
        if distance is None:
            problem(response, 422, "invalid_image")
        else:
            assert verification(response)["distance"] == pytest.approx(distance, abs=1e-3)
