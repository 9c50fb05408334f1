"""Our own faults: told as such, with nothing of the inside."""

import logging

import pytest

from app.domain import errors
from tests.api.raising import Raising

OURS = [errors.InferenceFailed, errors.ServiceError, errors.StartError, errors.LikenessError]


@pytest.mark.parametrize("kind", OURS)
def test_our_own_faults_tell_no_internals_and_are_logged_with_the_request_id(
    raising: Raising, caplog: pytest.LogCaptureFixture, kind: type[errors.LikenessError]
) -> None:
    with caplog.at_level(logging.ERROR):
        status, body, _ = raising.answer(kind("secret path /srv/models"))

    assert (status, body["code"], body["request_id"]) == (500, "internal_error", "trace-1")
    assert "secret" not in str(body)
    assert "trace-1" in caplog.text
    assert "secret path /srv/models" in caplog.text


def test_what_nobody_foresaw_tells_no_internals_and_carries_the_request_id_in_body_and_header(
    raising: Raising, caplog: pytest.LogCaptureFixture
) -> None:
    status, body, headers = raising.answer(RuntimeError("secret path /srv/models"))

    assert (status, body["code"], body["request_id"], body["instance"]) == (500, "internal_error", "trace-1", "/route")
    assert headers["x-request-id"] == "trace-1"
    assert "secret" not in str(body)
    assert "trace-1" in caplog.text
