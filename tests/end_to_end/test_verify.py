"""POST /verify: the answer, and the operating point it stands on."""

import math
import time

import pytest

from .contract import assert_are_timings, is_share, problem, verification
from .likeness import part
from .photos import another, collins, hopper, jpeg, real, variants

HOPPER, COLLINS = jpeg(hopper()), jpeg(collins())


@pytest.mark.parametrize("person", [hopper, collins])
@pytest.mark.parametrize("variant", ["cropped", "half the size", "brighter", "darker", "poor JPEG"])
def test_variants_of_one_photo_match(likeness, person, variant):
    body = verification(likeness.verify(jpeg(person()), variants(person())[variant]))
    assert body["match"] is True
    assert body["probability"] > 0.9


def test_two_people_do_not_match(likeness):
    body = verification(likeness.verify(HOPPER, COLLINS))
    assert body["match"] is False
    assert body["probability"] < 0.1


def test_the_same_bytes_twice_are_at_no_distance(likeness):
    body = verification(likeness.verify(HOPPER, HOPPER))
    assert body["distance"] < 1e-4
    assert body["similarity"] > 0.9999


def test_swapping_the_images_changes_nothing_but_their_order(likeness):
    one, other = another(hopper()), HOPPER
    there, back = verification(likeness.verify(one, other)), verification(likeness.verify(other, one))
    assert math.isclose(there["distance"], back["distance"], abs_tol=1e-4)
    assert there["distance"] > 1e-3
    assert [face["box"] for face in there["faces"]] == [face["box"] for face in reversed(back["faces"])]


def test_the_default_threshold_is_the_calibrated_one_at_one_false_match_in_ten_thousand(likeness):
    threshold = verification(likeness.verify(HOPPER, COLLINS))["threshold"]
    assert threshold["source"] == "default"
    assert 1.0 <= threshold["distance"] <= 1.3
    assert 0 < threshold["fmr"] <= 1.0001e-4
    assert is_share(threshold["fnmr"])


def test_an_fmr_chooses_the_threshold_that_keeps_it(likeness):
    threshold = verification(likeness.verify(HOPPER, COLLINS, fmr="0.001"))["threshold"]
    assert threshold["source"] == "fmr"
    assert 0 < threshold["fmr"] <= 0.001001


def test_a_looser_fmr_gives_a_larger_threshold_and_misses_fewer(likeness):
    strict, loose = (verification(likeness.verify(HOPPER, COLLINS, fmr=fmr))["threshold"] for fmr in ("0.0001", "0.01"))
    assert strict["distance"] < loose["distance"]
    assert strict["fnmr"] >= loose["fnmr"]


@pytest.mark.parametrize(("threshold", "match"), [("0.0001", False), ("4", True)])
def test_a_threshold_of_the_caller_decides(likeness, threshold, match):
    body = verification(likeness.verify(HOPPER, COLLINS, threshold=threshold))
    assert body["match"] is match
    assert body["threshold"]["source"] == "request"
    assert body["threshold"]["distance"] == float(threshold)


def test_an_fmr_and_a_threshold_together_contradict_each_other(likeness):
    problem(likeness.verify(HOPPER, COLLINS, fmr="0.001", threshold="1.1"), 422, "invalid_request")


def test_an_fmr_finer_than_the_calibration_supports_is_refused(likeness):
    problem(likeness.verify(HOPPER, COLLINS, fmr="1e-12"), 422, "unsupported_operating_point")


@pytest.mark.parametrize("field", ["fmr", "threshold"])
@pytest.mark.parametrize("value", ["many", "-0.1", "nan", "4.1", "inf"])
def test_an_operating_point_out_of_bounds_is_refused(likeness, field, value):
    problem(likeness.verify(HOPPER, COLLINS, **{field: value}), 422, "invalid_request")


def test_the_timings_are_milliseconds_within_the_time_the_caller_waited(likeness):
    began = time.monotonic()
    timings = verification(likeness.verify(HOPPER, COLLINS))["timings_ms"]
    assert_are_timings(timings)
    assert timings["total"] <= (time.monotonic() - began) * 1000
    assert timings["detect"] > 0
    assert timings["embed"] > 0


def test_the_distance_is_that_of_the_two_embeddings(likeness):
    first, second = (result["faces"][0]["embedding"] for result in likeness.embed(HOPPER, COLLINS).json()["results"])
    distance = sum((a - b) ** 2 for a, b in zip(first, second, strict=True))
    assert math.isclose(verification(likeness.verify(HOPPER, COLLINS))["distance"], distance, abs_tol=1e-3)


def test_real_photos_of_one_man_match_and_of_another_do_not(likeness):
    obama, again, biden = real("obama.jpg"), real("obama2.jpg"), real("biden.jpg")
    assert verification(likeness.verify(obama, again))["match"] is True
    assert verification(likeness.verify(obama, biden))["match"] is False
    assert verification(likeness.verify(again, biden))["match"] is False


def test_the_first_image_is_image1_whatever_the_order_of_the_parts(likeness):
    response = likeness.post("/verify", part("image2", COLLINS), part("image1", HOPPER))
    turned = verification(response)["faces"]
    assert [face["box"] for face in turned] == [
        face["box"] for face in verification(likeness.verify(HOPPER, COLLINS))["faces"]
    ]


def test_every_answer_has_a_request_id_of_its_own(likeness):
    ids = {verification(likeness.verify(HOPPER, COLLINS))["request_id"] for _ in range(3)}
    assert len(ids) == 3


def test_the_request_id_of_the_caller_is_echoed(likeness):
    files = [part("image1", HOPPER), part("image2", COLLINS)]
    response = likeness.http.post("/verify", files=files, headers={"X-Request-ID": "trace-4711"})
    assert verification(response)["request_id"] == "trace-4711"
