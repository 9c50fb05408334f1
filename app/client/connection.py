"""How both clients connect: headers, retries, and what an answer says."""

from __future__ import annotations

from http import HTTPMethod
from typing import Any

import httpx
from httpx_retries import Retry, RetryTransport

from app.client.problem import Problem

TIMEOUT = 60.0
"""Seconds: longer than the service's own deadline, which answers 504."""
_TOO_MANY_OR_BUSY = (429, 503)
_LONGEST_WAIT = 60.0


def headers(key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def retrying(transport: httpx.BaseTransport | httpx.AsyncBaseTransport, retries: int) -> RetryTransport:
    """
    Return a transport that sends a request again if it was refused for the moment or got no answer.

    Every request may be sent twice: enrolments carry an Idempotency-Key, and the others change nothing the second time.
    """
    policy = Retry(
        total=retries,
        allowed_methods=tuple(HTTPMethod),
        status_forcelist=_TOO_MANY_OR_BUSY,
        backoff_factor=0.5,
        max_backoff_wait=_LONGEST_WAIT,
    )
    return RetryTransport(transport=transport, retry=policy)


def value_of(response: httpx.Response) -> Any:
    """Return the JSON of an answer, or None if it has no body. Raises Problem."""
    if not response.is_success:
        raise Problem.of(response.status_code, response.content)
    return response.json() if response.content else None
