"""Assertions on the answers of the HTTP API, each in one place."""

import math
import re
from typing import Any

import httpx2
import numpy as np
import pytest

Body = dict[str, Any]
Box = tuple[float, ...] | list[float]


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_share(value: object) -> bool:
    return is_number(value) and 0 <= value <= 1  # type: ignore[operator]


def is_share_or_null(value: object) -> bool:
    return value is None or is_share(value)


def is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def nearly(answer: Any) -> Any:
    """Return the answer, equal to one whose numbers differ no more than those of two processors."""
    if isinstance(answer, dict):
        return {name: nearly(value) for name, value in answer.items()}
    if isinstance(answer, list):
        return [nearly(value) for value in answer]
    return pytest.approx(answer, rel=1e-3, abs=1e-3) if isinstance(answer, float) else answer


def answered(response: httpx2.Response, status: int = 200) -> Body:
    assert response.status_code == status, response.text
    assert response.headers["content-type"].split(";")[0] == "application/json"
    return dict(response.json())


def assert_is_problem(body: Body, *codes: str) -> None:
    assert body["code"] in codes, body
    assert all(is_text(body[key]) for key in ("type", "title", "detail")), body
    assert 400 <= body["status"] < 600


def problem(response: httpx2.Response, status: int, *codes: str) -> Body:
    """Return the body of an RFC 9457 answer, which must have this status and one of these codes."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"].split(";")[0] == "application/problem+json"
    body = dict(response.json())
    assert_is_problem(body, *codes)
    assert body["status"] == status
    assert is_text(body["instance"])
    assert is_text(body["request_id"])
    return body


def assert_is_face(face: Body) -> None:
    left, top, right, bottom = face["box"]
    assert all(is_number(edge) for edge in face["box"])
    assert left < right
    assert top < bottom
    assert np.shape(face["landmarks"]) == (5, 2)
    assert all(is_number(value) for point in face["landmarks"] for value in point)
    assert 0 < face["confidence"] <= 1
    assert_is_quality(face["quality"])


def assert_is_quality(quality: Body) -> None:
    parts = [quality[name] for name in ("size", "sharpness", "frontality", "inside")]
    assert all(is_share(part) for part in parts), quality
    assert math.isclose(quality["overall"], min(parts), abs_tol=1e-6)


def assert_is_model(model: Body) -> None:
    assert is_text(model["id"])
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", model["digest"])


def assert_are_timings(timings: Body) -> None:
    assert timings.keys() >= {"decode", "detect", "align", "embed", "queue", "total"}
    assert all(is_number(value) and value >= 0 for value in timings.values())
    assert timings["total"] > 0


def assert_is_comparison(body: Body) -> None:
    """Check the parts that every Verification has, for one photo or two."""
    threshold = body["threshold"]
    assert isinstance(body["match"], bool)
    assert 0 <= body["distance"] <= 4
    assert body["metric"] == "squared_l2"
    assert math.isclose(body["similarity"], 1 - body["distance"] / 2, abs_tol=1e-5)
    assert is_share_or_null(body["probability"])
    assert_is_threshold(threshold)
    assert threshold["source"] in {"default", "fmr", "request", "uncalibrated"}
    assert body["match"] == (body["distance"] <= threshold["distance"])
    assert "worst_cohort" not in threshold
    assert_is_model(body["model"])
    assert_are_timings(body["timings_ms"])
    assert is_text(body["request_id"])


def assert_is_threshold(threshold: Body) -> None:
    """Check the parts that the threshold for any pair has."""
    assert 0 <= threshold["base"] <= 4
    assert 0 <= threshold["distance"] <= 4
    assert is_share_or_null(threshold["fmr"])
    assert is_share_or_null(threshold["fnmr"])


def comparison(response: httpx2.Response) -> Body:
    body = answered(response)
    assert_is_comparison(body)
    return body


def verification(response: httpx2.Response) -> Body:
    body = comparison(response)
    assert [face["image"] for face in body["faces"]] == ["image1", "image2"]
    for face in body["faces"]:
        assert_is_face(face)
        assert face["faces_found"] >= 1
    return body


def identification(response: httpx2.Response) -> Body:
    body = answered(response)
    assert body["faces_found"] >= len(body["faces"]) >= 1
    assert body["gallery"].keys() >= {"id", "subjects", "faces", "revision"}
    assert_is_model(body["model"])
    assert_are_timings(body["timings_ms"])
    assert is_text(body["request_id"])
    for face in body["faces"]:
        assert_is_face(face)
        assert face["identified"] == (face["candidates"] != [])
        for candidate in face["candidates"]:
            assert_is_threshold(candidate["threshold"])
            assert candidate["distance"] <= candidate["threshold"]["distance"]
            assert candidate["threshold"]["base"] == body["threshold"]["base"] == body["threshold"]["distance"]
        assert_are_candidates(face["candidates"], body["threshold"]["distance"])
    return body


def assert_are_candidates(candidates: list[Body], threshold: float) -> None:
    distances = [candidate["distance"] for candidate in candidates]
    assert distances == sorted(distances)
    assert all(distance <= threshold for distance in distances)
    assert [candidate["rank"] for candidate in candidates] == list(range(1, len(candidates) + 1))
    for candidate in candidates:
        assert is_text(candidate["subject_id"])
        assert is_text(candidate["face_id"])
        assert math.isclose(candidate["similarity"], 1 - candidate["distance"] / 2, abs_tol=1e-5)
        assert is_share_or_null(candidate["probability"])
        assert isinstance(candidate["metadata"], dict)


def overlap(first: Box, second: Box) -> float:
    """Return intersection over union."""
    a, b = np.asarray(first, float), np.asarray(second, float)
    width, height = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = max(width, 0) * max(height, 0)
    return float(shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared))
