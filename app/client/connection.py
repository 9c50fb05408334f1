"""How both clients connect: headers, retries, and what an answer says."""

from __future__ import annotations

import json
from http import HTTPMethod
from typing import Any

import httpx
from httpx_retries import Retry

from app.client.call import Call
from app.client.problem import Problem

TIMEOUT = 60.0
"""Seconds: longer than the service's own deadline, which answers 504."""
_TOO_MANY_OR_BUSY = (429, 503)
_LONGEST_WAIT = 60.0


def headers(key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def policy(retries: int, *, is_repeatable: bool = True) -> Retry:
    """
    Return when a request is sent again: if it was refused for the moment, or got no answer and may be repeated.

    Enrolments carry an Idempotency-Key, and most other requests change nothing the second time.
    """
    return Retry(
        total=retries,
        allowed_methods=tuple(HTTPMethod),
        status_forcelist=_TOO_MANY_OR_BUSY,
        retry_on_exceptions=None if is_repeatable else (),
        backoff_factor=0.5,
        max_backoff_wait=_LONGEST_WAIT,
    )


def arguments_of(call: Call[Any], retries: int) -> dict[str, Any]:
    """Return the arguments of an httpx client's `request`, with when to send it again."""
    retry = policy(retries, is_repeatable=call.is_repeatable)
    return {"method": call.method, "url": call.path, **call.arguments, "extensions": {"retry": retry}}


def value_of(response: httpx.Response) -> Any:
    """Return the JSON of an answer, a list of it if each line has one, or None without a body. Raises Problem."""
    if not response.is_success:
        raise Problem.of(response.status_code, response.content)
    if response.headers.get("content-type") == "application/x-ndjson":
        return [json.loads(line) for line in response.iter_lines()]
    return response.json() if response.content else None
