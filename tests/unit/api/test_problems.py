"""Every error has a row in the table of problems, and no response reveals internals."""

import logging

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.api import error_handlers, problems
from app.api.middleware.request_id import RequestId
from app.domain import errors
from app.domain.errors import AllRejected, Rejected
from tests.support.templates import FACE

CONTRACT = {
    "face_not_found": 422,
    "multiple_faces": 422,
    "low_quality": 422,
    "spoof_suspected": 422,
    "invalid_image": 422,
    "unsupported_image": 415,
    "image_too_large": 413,
    "invalid_request": 422,
    "too_many_fields": 422,
    "invalid_cursor": 422,
    "metadata_too_large": 422,
    "unsupported_operating_point": 422,
    "not_found": 404,
    "method_not_allowed": 405,
    "subject_exists": 409,
    "model_mismatch": 409,
    "duplicate_face": 409,
    "unauthorized": 401,
    "forbidden": 403,
    "rate_limited": 429,
    "upload_timeout": 408,
    "storage_full": 507,
    "storage_unavailable": 503,
    "overloaded": 503,
    "deadline_exceeded": 504,
    "internal_error": 500,
}


class Raising:
    """An application whose only route raises a given error."""

    def __init__(self) -> None:
        self.error: Exception = RuntimeError()
        app = FastAPI()
        app.add_middleware(RequestId)
        error_handlers.install(app)
        app.get("/route")(self.route)
        self.client = TestClient(app, raise_server_exceptions=False, headers={"X-Request-ID": "trace-1"})

    def route(self) -> None:
        raise self.error

    def answer(self, error: Exception) -> tuple[int, dict[str, object], dict[str, str]]:
        self.error = error
        response = self.client.get("/route")
        assert response.headers["content-type"] == "application/problem+json"
        return response.status_code, response.json(), dict(response.headers)


@pytest.fixture(scope="module")
def raising() -> Raising:
    return Raising()


def kinds(root: type[errors.LikenessError]) -> list[type[errors.LikenessError]]:
    return [root, *(kind for child in root.__subclasses__() for kind in kinds(child))]


def test_table_has_the_codes_of_the_contract_with_their_statuses() -> None:
    assert {code: int(kind.status) for code, kind in problems.PROBLEM_TYPES.items()} == CONTRACT


def test_every_error_has_a_row() -> None:
    assert {kind.code for kind in kinds(errors.LikenessError)} <= problems.PROBLEM_TYPES.keys()


@pytest.mark.parametrize(
    "kind",
    [
        errors.InvalidImage,
        errors.UnsupportedImage,
        errors.ImageTooLarge,
        errors.FaceNotFound,
        errors.InvalidRequest,
        errors.UnsupportedOperatingPoint,
        errors.NotFound,
        errors.ModelMismatch,
        errors.Overloaded,
        errors.DeadlineExceeded,
    ],
    ids=lambda kind: kind.code,
)
def test_error_becomes_the_problem_of_its_code(raising: Raising, kind: type[errors.LikenessError]) -> None:
    status, body, _ = raising.answer(kind("why"))

    assert status == CONTRACT[kind.code]
    assert body == {
        "type": f"/problems/{kind.code}",
        "title": problems.PROBLEM_TYPES[kind.code].title,
        "status": status,
        "detail": "why",
        "instance": "/route",
        "code": kind.code,
        "request_id": "trace-1",
    }


def test_problem_names_the_image(raising: Raising) -> None:
    error = errors.InvalidImage("why")
    error.image = "image2"

    assert raising.answer(error)[1]["image"] == "image2"


def test_low_quality_has_reasons_and_multiple_faces_have_boxes(raising: Raising) -> None:
    _, poor, _ = raising.answer(errors.LowQuality(["size 0.1", "inside 0.2"]))
    _, several, _ = raising.answer(errors.MultipleFaces([FACE, FACE]))

    assert poor["reasons"] == ["size 0.1", "inside 0.2"]
    assert (several["boxes"], several["faces_found"]) == ([[10.0, 20.0, 110.5, 140.0]] * 2, 2)


def test_invalid_fields_are_listed(raising: Raising) -> None:
    _, body, _ = raising.answer(errors.InvalidRequest("fmr: too small", [("fmr", "too small")]))

    assert body["errors"] == [{"field": "fmr", "detail": "too small"}]


def test_only_overload_has_a_retry_after(raising: Raising) -> None:
    assert raising.answer(errors.Overloaded("busy"))[2]["retry-after"] == "1"
    assert "retry-after" not in raising.answer(errors.DeadlineExceeded("late"))[2]


def test_images_rejected_for_one_reason_share_its_problem(raising: Raising) -> None:
    rejected = [Rejected(0, errors.FaceNotFound("none here")), Rejected(1, errors.FaceNotFound("nor here"))]
    status, body, _ = raising.answer(AllRejected(rejected))
    each = body["rejected"]

    assert (status, body["code"]) == (422, "face_not_found")
    assert isinstance(each, list)
    assert [(one["index"], one["problem"]["detail"]) for one in each] == [(0, "none here"), (1, "nor here")]


def test_images_rejected_for_several_reasons_are_an_invalid_request(raising: Raising) -> None:
    rejected = [Rejected(0, errors.FaceNotFound("none")), Rejected(1, errors.InvalidImage("broken"))]
    status, body, _ = raising.answer(AllRejected(rejected))

    assert (status, body["code"], body["detail"]) == (422, "invalid_request", "no image could be enrolled")


@pytest.mark.parametrize("kind", [errors.InferenceFailed, errors.ServiceError, errors.StartError, errors.LikenessError])
def test_internal_error_is_logged_with_the_request_id_and_not_revealed(
    raising: Raising, caplog: pytest.LogCaptureFixture, kind: type[errors.LikenessError]
) -> None:
    with caplog.at_level(logging.ERROR):
        status, body, _ = raising.answer(kind("secret path /srv/models"))

    assert (status, body["code"], body["request_id"]) == (500, "internal_error", "trace-1")
    assert "secret" not in str(body)
    assert "trace-1" in caplog.text
    assert "secret path /srv/models" in caplog.text


def test_unexpected_error_has_the_request_id_in_body_and_header_and_is_not_revealed(
    raising: Raising, caplog: pytest.LogCaptureFixture
) -> None:
    status, body, headers = raising.answer(RuntimeError("secret path /srv/models"))

    assert (status, body["code"], body["request_id"], body["instance"]) == (500, "internal_error", "trace-1", "/route")
    assert headers["x-request-id"] == "trace-1"
    assert "secret" not in str(body)
    assert "trace-1" in caplog.text
