"""Liveness: reported with each face, required, or refused by a service that was started without it."""

from typing import Any

import httpx2
import pytest

from tests.support.answers import answered, comparison, identification, problem, verification
from tests.support.api import Api, part
from tests.support.photos import COLLINS, HOPPER, base64_of, collins, hopper, jpeg, on_a_wall, png, side_by_side

PRINT = jpeg(on_a_wall(hopper()))
LYING = png(collins().rotate(90, expand=True))
ENROLLING = "/galleries/{}/subjects/hopper/faces"


def is_live(face: dict[str, Any]) -> bool:
    assert face["liveness"].keys() == {"score", "live"}
    assert 0 <= face["liveness"]["score"] <= 1
    assert face["liveness"]["live"] is (face["liveness"]["score"] >= 0.5)
    return bool(face["liveness"]["live"])


def test_a_verification_reports_both_faces(judging: Api) -> None:
    body = verification(judging.verify(HOPPER, PRINT, liveness="report"))
    assert [is_live(face) for face in body["faces"]] == [True, False]
    assert body["match"] is True
    assert body["timings_ms"]["liveness"] > 0


def test_without_the_field_nothing_is_reported(judging: Api) -> None:
    for fields in ({}, {"liveness": "off"}):
        body = verification(judging.verify(HOPPER, PRINT, **fields))
        assert [face for face in body["faces"] if "liveness" in face] == []
        assert "liveness" not in body["timings_ms"]


def test_a_verification_can_require_live_faces(judging: Api) -> None:
    body = problem(judging.verify(HOPPER, PRINT, liveness="require"), 422, "spoof_suspected")
    assert body["image"] == "image2"
    assert verification(judging.verify(HOPPER, COLLINS, liveness="require"))["match"] is False


def test_a_photo_on_its_side_is_judged_upright(judging: Api) -> None:
    body = verification(judging.verify(png(collins()), LYING, liveness="report"))
    upright, lying = body["faces"]
    assert (upright["rotated"], lying["rotated"]) == (0, 90)
    assert lying["liveness"]["score"] == pytest.approx(upright["liveness"]["score"], abs=0.01)


def test_enrolment_reports_or_refuses(judging: Api, gallery: str) -> None:
    path = ENROLLING.format(gallery)
    reported = answered(judging.post(path, part("image", HOPPER), part("image", PRINT), liveness="report"), 201)
    assert [is_live(face) for face in reported["enrolled"]] == [True, False]

    mixed = answered(judging.post(path, part("image", PRINT), part("image", HOPPER), liveness="require"), 201)
    assert [is_live(face) for face in mixed["enrolled"]] == [True]
    assert [(each["index"], each["problem"]["code"]) for each in mixed["rejected"]] == [(0, "spoof_suspected")]

    problem(judging.post(path, part("image", PRINT), liveness="require"), 422, "spoof_suspected")
    listed = answered(judging.http.get(path))["faces"]
    assert [face for face in listed if "liveness" in face] == []


def test_identification_reports_each_face_or_refuses_the_photo(judging: Api, gallery: str) -> None:
    judging.enroll(gallery, "hopper", HOPPER)
    two = jpeg(side_by_side(hopper(), on_a_wall(collins()).resize((600, 600)), hopper()))
    body = identification(judging.identify(two, gallery=gallery, faces="all", liveness="report"))
    assert len(body["faces"]) == 3
    assert all(isinstance(is_live(face), bool) for face in body["faces"])

    one = identification(judging.identify(PRINT, gallery=gallery, liveness="report"))
    assert [(face["identified"], is_live(face)) for face in one["faces"]] == [(True, False)]
    problem(judging.identify(PRINT, gallery=gallery, liveness="require"), 422, "spoof_suspected")


def test_a_subject_is_verified_with_a_live_face(judging: Api, gallery: str) -> None:
    judging.enroll(gallery, "hopper", HOPPER)
    body = comparison(judging.verify_subject(gallery, "hopper", HOPPER, liveness="report"))
    assert [is_live(face) for face in body["faces"]] == [True]
    problem(judging.verify_subject(gallery, "hopper", PRINT, liveness="require"), 422, "spoof_suspected")


def test_the_models_include_the_liveness_network_with_its_threshold(judging: Api, api: Api) -> None:
    loaded = answered(judging.http.get("/models"))["models"]
    (pad,) = [model for model in loaded if model["kind"] == "liveness"]
    assert (pad["id"], pad["license"], pad["crop_size"], pad["liveness_threshold"]) == ("pad", "Apache-2.0", 80, 0.5)
    assert [model["kind"] for model in answered(api.http.get("/models"))["models"]] == ["embedder", "mtcnn"]


@pytest.mark.parametrize("liveness", ["report", "require"])
@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/verify", ["image1", "image2"]),
        ("/identify", ["image"]),
        ("/galleries/{}/subjects/ada/faces", ["image"]),
        ("/galleries/{}/subjects/ada/verify", ["image"]),
    ],
)
def test_a_service_without_it_says_so(api: Api, gallery: str, path: str, names: list[str], liveness: str) -> None:
    api.enroll(gallery, "ada", COLLINS)
    body = problem(
        api.post(path.format(gallery), *(part(name, HOPPER) for name in names), liveness=liveness),
        422,
        "invalid_request",
    )
    assert body["errors"] == [
        {"field": "liveness", "detail": "expected off, since this service was started without LIKENESS_LIVENESS=on"}
    ]


def test_another_word_is_refused_and_routes_without_it_do_not_know_the_field(http: httpx2.Client) -> None:
    images = {"image1": base64_of(HOPPER), "image2": base64_of(COLLINS)}
    for path, body in (("/verify", {**images, "liveness": "maybe"}), ("/detect", {"image": "", "liveness": "report"})):
        answer = problem(http.post(path, json=body), 422, "invalid_request")
        assert [each["field"] for each in answer["errors"]] == ["liveness"]
