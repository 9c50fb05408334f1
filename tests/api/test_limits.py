"""Who may come in, how often, and how many at once: answered before a body is read."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from app.access.api_keys import KeyStore
from app.domain.identity import Scope
from app.server.shutdown import Lifecycle
from app.storage.migrate import open_migrated
from tests.api.guarded import Guarded, Unread, settled

FIELDS = ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "ratelimit-policy")


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[KeyStore]:
    with closing(open_migrated(tmp_path / "gallery.sqlite3")) as database:
        yield KeyStore(database)


def told(response: httpx2.Response) -> tuple[str | None, ...]:
    return tuple(response.headers.get(field) for field in FIELDS)


def key(keys: KeyStore, **options: int) -> dict[str, str]:
    return {"X-API-Key": keys.create([Scope.VERIFY], **options)[1]}


def test_every_counted_answer_says_what_is_left(keys: KeyStore) -> None:
    guarded = Guarded(keys, rate=5)
    answers = [guarded.client.get(path) for path in ("/who", "/missing", "/forbidden", "/busy", "/who", "/who")]

    assert [each.status_code for each in answers] == [200, 404, 403, 413, 200, 429]
    assert [told(each) for each in answers] == [("5", str(left), "1", "5;w=1") for left in (4, 3, 2, 1, 0, 0)]


def test_who_asks_too_often_is_told_when_to_come_again(keys: KeyStore) -> None:
    guarded = Guarded(keys, rate=1)
    guarded.client.get("/who")
    refused = guarded.client.get("/who")

    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["x-request-id"] == refused.json()["request_id"]


def test_public_paths_are_never_counted_and_never_refused(keys: KeyStore) -> None:
    guarded = Guarded(keys, "on", rate=1)
    answers = [guarded.client.get("/healthz") for _ in range(5)]

    assert [each.status_code for each in answers] == [200] * 5
    assert {told(each) for each in answers} == {(None,) * 4}


def test_without_a_limit_nothing_is_told(keys: KeyStore) -> None:
    assert told(Guarded(keys).client.get("/who")) == (None,) * 4


def test_each_key_has_its_own_count_and_its_own_limit(keys: KeyStore) -> None:
    guarded = Guarded(keys, "on", rate=1)
    one, other, more = key(keys), key(keys), key(keys, rate=3)
    statuses = [[guarded.client.get("/who", headers=each).status_code for _ in range(4)] for each in (one, other, more)]

    assert statuses == [[200, 429, 429, 429], [200, 429, 429, 429], [200, 200, 200, 429]]


def test_where_no_keys_are_asked_for_each_address_has_its_own_count(keys: KeyStore) -> None:
    guarded = Guarded(keys, rate=1)
    first = [guarded.client.get("/who") for _ in range(2)]
    guarded.client._transport.client = ("198.51.100.7", 1)  # type: ignore[attr-defined]
    second = guarded.client.get("/who")

    assert [each.status_code for each in first] == [200, 429]
    assert (first[0].json(), second.json()) == ("address:192.0.2.1", "address:198.51.100.7")


def test_wrong_keys_cannot_be_tried_without_end_and_do_not_shut_out_the_right_one(keys: KeyStore) -> None:
    guarded = Guarded(keys, "on", rate=3)
    right = key(keys)
    wrong = [guarded.client.get("/who", headers={"X-API-Key": f"lk_{number}_x"}).status_code for number in range(5)]

    assert wrong == [401, 401, 401, 429, 429]
    assert guarded.client.get("/who", headers=right).status_code == 200


@pytest.mark.anyio
async def test_too_many_at_once_are_refused_and_the_place_is_free_again_when_one_ends(keys: KeyStore) -> None:
    guarded = Guarded(keys, concurrent=2)
    transport = httpx2.ASGITransport(guarded.app, client=("192.0.2.1", 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        running = [asyncio.create_task(client.get("/held")) for _ in range(2)]
        await settled()
        refused = await client.get("/who")
        guarded.held.set()
        answers = await asyncio.gather(*running)
        after = await client.get("/who")

    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (429, "rate_limited", "1")
    assert [each.status_code for each in answers] == [200, 200]
    assert after.status_code == 200


@pytest.mark.anyio
async def test_an_answer_that_comes_too_late_is_counted_and_frees_its_place(keys: KeyStore) -> None:
    guarded = Guarded(keys, rate=9, concurrent=1, deadline=0.05)
    transport = httpx2.ASGITransport(guarded.app, client=("192.0.2.1", 1))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        late, after = await client.get("/held"), await client.get("/who")

    assert (late.status_code, late.json()["code"], told(late)[1]) == (504, "deadline_exceeded", "8")
    assert after.status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/who", "/missing"])
async def test_who_is_refused_is_refused_before_the_body_is_read(keys: KeyStore, path: str) -> None:
    text = keys.create([Scope.VERIFY], rate=1)[1]
    guarded = Guarded(keys, "on", concurrent=1)
    unknown = await Unread().post(guarded.app, path)
    guarded.client.get("/who", headers={"X-API-Key": text})
    too_often = await Unread().post(guarded.app, path, **{"x-api-key": text})
    guarded.lifecycle.stop()
    stopping = await Unread().post(guarded.app, path)

    assert (unknown, too_often, stopping) == (401, 429, 503)


def test_before_the_start_and_while_stopping_nobody_is_let_in(keys: KeyStore) -> None:
    guarded = Guarded(keys)
    services = guarded.app.state.services
    del guarded.app.state.services
    early = guarded.client.get("/who")
    guarded.app.state.services = services
    running = guarded.client.get("/who")
    guarded.lifecycle.stop()
    late, alive, metrics = (guarded.client.get(path) for path in ("/who", "/healthz", "/metrics"))

    assert [each.status_code for each in (early, running, late)] == [503, 200, 503]
    assert {(each.json()["code"], each.headers["retry-after"]) for each in (early, late)} == {("overloaded", "1")}
    assert (alive.status_code, metrics.status_code) == (200, 200)


def test_while_balancers_look_away_requests_are_still_taken(keys: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.api.guarded.Lifecycle", lambda: Lifecycle(60))
    guarded = Guarded(keys)
    guarded.lifecycle.stop()

    assert guarded.lifecycle.stopping
    assert guarded.client.get("/who").status_code == 200


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
def test_without_keys_a_page_of_another_site_is_refused(keys: KeyStore, headers: dict[str, str]) -> None:
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
def test_a_program_or_a_page_of_this_machine_is_not(keys: KeyStore, headers: dict[str, str]) -> None:
    assert Guarded(keys).client.get("/who", headers=headers).status_code == 200


def test_where_a_key_is_asked_for_any_page_may_ask_that_has_one(keys: KeyStore) -> None:
    shown = key(keys) | {"Origin": "https://app.example"}

    assert Guarded(keys, "on").client.get("/who", headers=shown).status_code == 200
    assert Guarded(keys, "off", reachable=True).client.get("/who", headers=shown).status_code == 200
