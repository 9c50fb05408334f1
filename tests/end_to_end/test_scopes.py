"""What each scope opens, on every operation of /openapi.json: one that is not in this table fails here."""

import re

import httpx2
import pytest

from .operating import SCOPES

EVERY = set(SCOPES)
VERIFY, IDENTIFY, ENROLL, METRICS = ({scope, "admin"} for scope in ("verify", "identify", "enroll", "metrics"))
ADMIN = {"admin"}
SUBJECT = "/galleries/{}/subjects/{}"
PROBLEM_TYPES = {
    "POST /verify": VERIFY,
    "POST /detect": VERIFY,
    "POST /embed": VERIFY,
    f"POST {SUBJECT}/verify": VERIFY,
    "POST /identify": IDENTIFY,
    "GET /galleries": ENROLL,
    "GET /galleries/{}": ENROLL,
    "PUT /galleries/{}": ENROLL,
    "GET /galleries/{}/subjects": ENROLL,
    f"GET {SUBJECT}": ENROLL,
    f"PUT {SUBJECT}": ENROLL,
    f"DELETE {SUBJECT}": ENROLL,
    f"GET {SUBJECT}/faces": ENROLL,
    f"POST {SUBJECT}/faces": ENROLL,
    f"DELETE {SUBJECT}/faces/{{}}": ENROLL,
    "DELETE /galleries/{}": ADMIN,
    f"GET {SUBJECT}/export": ADMIN,
    "GET /metrics": METRICS,
    "GET /models": EVERY,
}
PUBLIC = {"GET /healthz", "GET /readyz"}
PUBLIC_PAGES = {"GET /docs", "GET /openapi.json"}
VERSIONS = ["", "/v1"]


@pytest.fixture(scope="module")
def operations(guarded):
    """Every operation that the service declares, with its parameters unnamed."""
    paths = httpx2.get(f"{guarded.url}/openapi.json").json()["paths"]
    return {f"{method.upper()} {re.sub(r'{.*?}', '{}', path)}" for path in paths for method in paths[path]}


def status(server, operation, version, **headers):
    method, path = operation.split()
    url = f"{server.url}{version}{path.format('walked', 'nobody', 'none')}"
    return httpx2.request(method, url, headers=headers, timeout=20).status_code


def test_every_declared_operation_is_in_the_table(operations):
    assert operations - PUBLIC_PAGES == PROBLEM_TYPES.keys() | PUBLIC


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("scope", SCOPES)
def test_a_scope_opens_its_operations_and_no_others(guarded, keys, operations, scope, version):
    answers = {
        operation: status(guarded, operation, version, **{"X-API-Key": keys[scope]})
        for operation in sorted(operations - PUBLIC - PUBLIC_PAGES)
    }
    refused = {operation for operation, answer in answers.items() if answer == 403}
    assert refused == {operation for operation, scopes in PROBLEM_TYPES.items() if scope not in scopes}
    assert not {401, 429, 500} & set(answers.values())


@pytest.mark.parametrize("version", VERSIONS)
def test_without_a_key_only_the_public_operations_answer(guarded, operations, version):
    answers = {operation: status(guarded, operation, version) for operation in operations | PUBLIC_PAGES}
    assert {operation for operation, answer in answers.items() if answer == 200} == PUBLIC | PUBLIC_PAGES
    assert {answers[operation] for operation in PROBLEM_TYPES} == {401}


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PATCH", "TRACE", "PURGE"])
def test_no_method_goes_round_the_keys(guarded, method):
    answers = {status(guarded, f"{method} {operation.split()[1]}", "") for operation in PROBLEM_TYPES}
    assert answers == {401}


def test_a_public_page_needs_no_key_even_if_a_wrong_one_is_given(guarded):
    assert {status(guarded, page, "", **{"X-API-Key": "lk_x_y"}) for page in PUBLIC | PUBLIC_PAGES} == {200}
