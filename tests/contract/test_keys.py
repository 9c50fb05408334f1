"""API keys: how one is given, and which operations each scope opens."""

from datetime import timedelta

import httpx2
import pytest

from app.domain.identity import Scope
from tests.support.answers import answered, problem
from tests.support.commands import SCOPES, id_of, secret_of

from .conftest import Service
from .test_openapi import SUBJECT

VERIFY, IDENTIFY, EMBED, ENROLL, ERASE, EXPORT, METRICS, ADMIN = ({scope, "admin"} for scope in SCOPES)
EVERY = set(SCOPES)
OPENED_BY = {
    "POST /verify": VERIFY,
    "POST /detect": VERIFY,
    "POST /embed": EMBED,
    "POST /compare": VERIFY,
    "POST /cluster": VERIFY,
    f"POST {SUBJECT}/verify": VERIFY,
    "POST /identify": IDENTIFY,
    "GET /galleries": ENROLL,
    "GET /galleries/{gallery}": ENROLL,
    "PUT /galleries/{gallery}": ENROLL,
    "POST /galleries/{gallery}/import": ADMIN,  # needs two scopes, which test_import.py has
    "GET /galleries/{gallery}/subjects": ENROLL,
    f"GET {SUBJECT}": ENROLL,
    f"PUT {SUBJECT}": ENROLL,
    f"PATCH {SUBJECT}": ENROLL,
    f"POST {SUBJECT}/merge": ADMIN,  # needs two scopes, which test_moving.py has
    f"DELETE {SUBJECT}": ERASE,
    f"GET {SUBJECT}/faces": ENROLL,
    f"POST {SUBJECT}/faces": ENROLL,
    f"DELETE {SUBJECT}/faces/{{face}}": ERASE,
    "DELETE /galleries/{gallery}": ADMIN,
    f"GET {SUBJECT}/export": EXPORT,
    "GET /audit": ADMIN,
    "GET /metrics": METRICS,
    "GET /models": EVERY,
    "GET /models/{model}/calibration": EVERY,
}
PUBLIC = {
    "GET /healthz",
    "GET /readyz",
    "GET /docs",
    "GET /docs/start.js",
    "GET /openapi.json",
    "GET /",
    "GET /page/main.js",
}
UNKNOWN = [
    "/nothing",
    "/page",
    "/v1",
    "/v1/v1/models",
    "/healthz/",
    "/docs2",
    "/galleries/a/subjects/b/faces/c",
    "/%6detrics",
]
PREFIXES = ["", "/v1"]


def status(client: httpx2.Client, operation: str, prefix: str = "") -> int:
    method, path = operation.split()
    filled = path.format(gallery="walked", subject="nobody", face="none", model="none")
    return client.request(method, f"{prefix}{filled}").status_code


def unauthorized(response: httpx2.Response) -> None:
    body = problem(response, 401, "unauthorized")
    assert response.headers["x-request-id"] == body["request_id"]
    assert response.headers["www-authenticate"] == 'Bearer realm="likeness"'


def test_every_declared_operation_is_in_the_table(http: httpx2.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    declared = {f"{method.upper()} {path}" for path in paths for method in paths[path]}
    assert declared - PUBLIC == OPENED_BY.keys()


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("scope", SCOPES)
def test_a_scope_opens_its_operations_and_no_others(
    service: Service, keys: dict[str, str], scope: str, prefix: str
) -> None:
    client = service.client(keys[scope])
    answers = {operation: status(client, operation, prefix) for operation in sorted(OPENED_BY)}
    refused = {operation for operation, answer in answers.items() if answer == 403}
    assert refused == {operation for operation, scopes in OPENED_BY.items() if scope not in scopes}
    assert not {401, 429, 500} & set(answers.values())


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("key", [None, "lk_x_y"])
def test_without_a_good_key_only_the_public_pages_answer(service: Service, prefix: str, key: str | None) -> None:
    client = service.client(key)
    assert {status(client, operation, prefix) for operation in OPENED_BY} == {401}
    assert {status(client, page, prefix) for page in PUBLIC} == {200}


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PATCH", "TRACE", "PURGE"])
def test_no_method_goes_round_the_keys(service: Service, method: str) -> None:
    client = service.client()
    assert {status(client, f"{method} {operation.split()[1]}") for operation in OPENED_BY} == {401}


@pytest.mark.parametrize("path", UNKNOWN)
def test_without_a_key_an_unknown_path_looks_like_a_known_one(service: Service, path: str) -> None:
    unauthorized(service.client().get(path))


def test_a_key_is_taken_as_bearer_and_as_x_api_key(service: Service, keys: dict[str, str]) -> None:
    key = keys["verify"]
    for name, value in (("Authorization", f"Bearer {key}"), ("authorization", f"bearer {key}"), ("X-API-Key", key)):
        answered(service.client().get("/models", headers={name: value}))


MALFORMED = {
    "nothing": "",
    "no key": "please",
    "no secret": "lk_{id}_",
    "an id only": "lk_{id}",
    "an unknown id": "lk_000000000000_{secret}",
    "another key's id": "lk_{other}_{secret}",
    "a letter more": "{key}a",
    "a letter less": "{short}",
    "upper case": "{upper}",
    "SQL": "lk_' OR 1=1 --_{secret}",
    "accents": "lk_é_ü",
    "12,000 letters": "lk_" + 6000 * "a" + "_" + 6000 * "b",
    "a pattern": "lk_%_%",
}


@pytest.mark.parametrize("given", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_key_is_refused(service: Service, keys: dict[str, str], given: str) -> None:
    key = keys["admin"]
    words = {"key": key, "short": key[:-1], "upper": key.upper(), "id": id_of(key), "secret": secret_of(key)}
    text = given.format(**words, other=id_of(keys["verify"])).encode()
    client = service.client()
    unauthorized(client.get("/models", headers=[(b"X-API-Key", text)]))
    unauthorized(client.get("/models", headers=[(b"Authorization", (b"Bearer " + text).strip())]))


@pytest.mark.parametrize("scheme", ["Basic {}", "{}", "Token {}", "Bearer", "Bearer {} {}"])
def test_another_way_to_give_a_key_is_refused(service: Service, keys: dict[str, str], scheme: str) -> None:
    key, client = keys["admin"], service.client()
    unauthorized(client.get("/models", headers={"Authorization": scheme.format(key, key)}))
    unauthorized(client.get("/models", params={"api_key": key, "key": key}))
    unauthorized(client.get("/models", headers={"Cookie": f"key={key}"}))


def test_two_keys_that_differ_are_refused_in_either_order(service: Service, keys: dict[str, str]) -> None:
    client = service.client()
    both = [keys["admin"], keys["verify"]]
    for one, other in (both, both[::-1], [keys["admin"], "lk_0_0"]):
        for names in (("Authorization", "X-API-Key"), ("X-API-Key", "X-API-Key"), ("Authorization", "Authorization")):
            given = [
                (name, f"Bearer {key}" if name == "Authorization" else key)
                for name, key in zip(names, (one, other), strict=True)
            ]
            unauthorized(client.get("/models", headers=given))
    same = {"Authorization": f"Bearer {keys['admin']}", "X-API-Key": keys["admin"]}
    answered(client.get("/models", headers=same))


def test_a_key_that_expired_or_was_revoked_ends_at_once(service: Service) -> None:
    expired, revoked = service.new_key(Scope.ADMIN, lifetime=timedelta(seconds=-1)), service.new_key(Scope.ADMIN)
    answered(service.client(revoked).get("/models"))
    service.keys.revoke(id_of(revoked))
    for key in (expired, revoked):
        unauthorized(service.client(key).get("/models"))


def test_every_counted_answer_shows_what_is_left_of_the_rate(service: Service) -> None:
    client = service.client(service.new_key(Scope.VERIFY, rate=3))
    answers = [client.get(path) for path in ("/models", "/nothing", "/galleries")]
    names = ("RateLimit-Limit", "RateLimit-Remaining")
    assert [answer.status_code for answer in answers] == [200, 404, 403]
    assert [[int(answer.headers[name]) for name in names] for answer in answers] == [[3, 2], [3, 1], [3, 0]]
    assert all(int(answer.headers["RateLimit-Reset"]) <= 1 for answer in answers)
    assert all(answer.headers["RateLimit-Policy"] for answer in answers)
    assert {client.get("/healthz").status_code for _ in range(10)} == {200}
