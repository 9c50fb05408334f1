"""Rate limits, simultaneous requests, and cross-site requests are checked before a body is read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx2
import pytest

from app.access.api_keys import KeyStore
from app.api.state import set_state, state_of
from app.domain.identity import Scope
from app.server.shutdown import Lifecycle
from tests.unit.api.guarded import Guarded, UnreadBody, settled

FIELDS = ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "ratelimit-policy")
NO_FIELDS = (None,) * 4


def fields(response: httpx2.Response) -> tuple[str | None, ...]:
    return tuple(response.headers.get(field) for field in FIELDS)


def key(keys: KeyStore, rate: int | None = None) -> dict[str, str]:
    return {"X-API-Key": keys.create([Scope.VERIFY], rate=rate)[1]}


def statuses(guarded: Guarded, times: int, headers: dict[str, str] | None = None) -> list[int]:
    return [guarded.client.get("/who", headers=headers).status_code for _ in range(times)]


@asynccontextmanager
async def asynchronous(guarded: Guarded) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(guarded.app, client=("192.0.2.1", 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


def test_every_counted_response_has_the_remaining_requests(keys: KeyStore) -> None:
    guarded = Guarded(keys, rate=5)
    answers = [guarded.client.get(path) for path in ("/who", "/missing", "/forbidden", "/busy", "/who", "/who")]

    assert [each.status_code for each in answers] == [200, 404, 403, 413, 200, 429]
    assert [fields(each) for each in answers] == [("5", str(left), "1", "5;w=1") for left in (4, 3, 2, 1, 0, 0)]


def test_request_beyond_the_rate_is_refused_with_the_seconds_to_wait(keys: KeyStore) -> None:
    guarded = Guarded(keys, rate=1)
    guarded.client.get("/who")
    refused = guarded.client.get("/who")

    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["x-request-id"] == refused.json()["request_id"]


def test_public_paths_are_neither_counted_nor_refused(keys: KeyStore) -> None:
    guarded = Guarded(keys, "on", rate=1)
    answers = [guarded.client.get("/healthz") for _ in range(5)]

    assert {(each.status_code, fields(each)) for each in answers} == {(200, NO_FIELDS)}


def test_response_without_a_rate_limit_has_no_rate_limit_headers(keys: KeyStore) -> None:
    assert fields(Guarded(keys).client.get("/who")) == NO_FIELDS


def test_keys_have_separate_counts_and_may_have_their_own_rate(keys: KeyStore) -> None:
    guarded = Guarded(keys, "on", rate=1)

    assert [statuses(guarded, 4, headers) for headers in (key(keys), key(keys), key(keys, rate=3))] == [
        [200, 429, 429, 429],
        [200, 429, 429, 429],
        [200, 200, 200, 429],
    ]


def test_addresses_have_separate_counts_if_no_key_is_required(keys: KeyStore) -> None:
    guarded = Guarded(keys, rate=1)
    first = [guarded.client.get("/who") for _ in range(2)]
    guarded.client._transport.client = ("198.51.100.7", 1)  # type: ignore[attr-defined]
    second = guarded.client.get("/who")

    assert [each.status_code for each in first] == [200, 429]
    assert (first[0].json(), second.json()) == ("address:192.0.2.1", "address:198.51.100.7")


def test_attempts_with_wrong_keys_are_limited_without_affecting_the_right_key(keys: KeyStore) -> None:
    guarded, right = Guarded(keys, "on", rate=3), key(keys)
    wrong = [guarded.client.get("/who", headers={"X-API-Key": f"lk_{number}_x"}).status_code for number in range(5)]

    assert wrong == [401, 401, 401, 429, 429]
    assert statuses(guarded, 1, right) == [200]


@pytest.mark.anyio
async def test_too_many_simultaneous_requests_are_refused_until_one_ends(keys: KeyStore) -> None:
    guarded = Guarded(keys, concurrent=2)
    async with asynchronous(guarded) as client:
        running = [asyncio.create_task(client.get("/held")) for _ in range(2)]
        await settled()
        refused = await client.get("/who")
        guarded.held.set()
        answers = [*await asyncio.gather(*running), await client.get("/who")]

    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (429, "rate_limited", "1")
    assert [each.status_code for each in answers] == [200, 200, 200]


@pytest.mark.anyio
async def test_request_beyond_its_deadline_is_counted_and_releases_its_slot(keys: KeyStore) -> None:
    async with asynchronous(Guarded(keys, rate=9, concurrent=1, deadline=0.05)) as client:
        late, after = await client.get("/held"), await client.get("/who")

    assert (late.status_code, late.json()["code"], fields(late)[1]) == (504, "deadline_exceeded", "8")
    assert after.status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize("route", ["/who", "/missing"])
async def test_refused_request_is_answered_before_its_body_is_read(keys: KeyStore, route: str) -> None:
    text = keys.create([Scope.VERIFY], rate=1)[1]
    guarded = Guarded(keys, "on", concurrent=1)
    unknown = await UnreadBody().post(guarded.app, route)
    guarded.client.get("/who", headers={"X-API-Key": text})
    too_often = await UnreadBody().post(guarded.app, route, **{"x-api-key": text})
    guarded.lifecycle.stop()
    stopping = await UnreadBody().post(guarded.app, route)

    assert (unknown, too_often, stopping) == (401, 429, 503)


def test_requests_before_the_start_and_while_stopping_are_refused(keys: KeyStore) -> None:
    guarded = Guarded(keys)
    started = state_of(guarded.app)
    set_state(guarded.app, replace(started, services=None))
    early = guarded.client.get("/who")
    set_state(guarded.app, started)
    running = guarded.client.get("/who")
    guarded.lifecycle.stop()
    late, alive, metrics = (guarded.client.get(path) for path in ("/who", "/healthz", "/metrics"))

    assert [each.status_code for each in (early, running, late)] == [503, 200, 503]
    assert {(each.json()["code"], each.headers["retry-after"]) for each in (early, late)} == {("overloaded", "1")}
    assert (alive.status_code, metrics.status_code) == (200, 200)


def test_requests_during_the_shutdown_delay_are_accepted(keys: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.unit.api.guarded.Lifecycle", lambda: Lifecycle(60))
    guarded = Guarded(keys)
    guarded.lifecycle.stop()

    assert guarded.lifecycle.stopping
    assert statuses(guarded, 1) == [200]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[", "Sec-Fetch-Site": "same-origin"},
        {"Host": "rebound.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-origin", "Host": "rebound.evil.example:8000"},
        {"Origin": "http://rebound.evil.example", "Host": "rebound.evil.example"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Origin": "http://127.0.0.1@evil.example"},
        {"Sec-Fetch-Site": "none", "Host": "[::1"},
    ],
)
def test_cross_site_request_without_keys_is_refused(keys: KeyStore, headers: dict[str, str]) -> None:
    answer = Guarded(keys).client.get("/who", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "192.168.1.7:8000"},
        {"Host": "likeness:8000"},
        {"Host": "likeness.svc.internal"},
        {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"},
        {"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://[::1]:8000", "Host": "[::1]:8000"},
        {"Sec-Fetch-Site": "none", "Host": "localhost"},
    ],
)
def test_program_or_page_of_this_machine_is_accepted_without_keys(keys: KeyStore, headers: dict[str, str]) -> None:
    assert statuses(Guarded(keys), 1, headers) == [200]


def test_cross_site_request_with_a_key_is_accepted(keys: KeyStore) -> None:
    headers = key(keys) | {"Origin": "https://app.example"}

    assert statuses(Guarded(keys, "on"), 1, headers) == [200]
    assert statuses(Guarded(keys, "off", reachable=True), 1, headers) == [200]
