"""Whether keys are asked for, and whose request it is."""

from datetime import timedelta

import pytest

from app.access.authority import Auth, Authority, check_start, is_loopback
from app.access.keys import KeyStore
from app.domain.callers import Scope, anyone
from app.domain.errors import StartError, Unauthorized

AUTH: list[Auth] = ["auto", "on", "off"]


@pytest.mark.parametrize("reachable", [False, True])
@pytest.mark.parametrize("any_key", [False, True])
@pytest.mark.parametrize("auth", AUTH)
def test_keys_are_asked_for_where_the_contract_says(keys: KeyStore, auth: Auth, any_key: bool, reachable: bool) -> None:  # noqa: FBT001
    made = [keys.create([Scope.VERIFY], lifetime=timedelta(seconds=-1)) for _ in range(any_key)]
    expected = {"on": True, "off": False, "auto": bool(made) or reachable}

    assert Authority(keys, auth, reachable=reachable).wants_keys() == expected[auth]


def test_the_first_key_shuts_a_service_that_runs(keys: KeyStore, others: KeyStore) -> None:
    authority = Authority(keys, "auto", reachable=False)
    before = authority.caller({}, "127.0.0.1")
    others.create([Scope.VERIFY])

    assert before == anyone("address:127.0.0.1")
    with pytest.raises(Unauthorized):
        authority.caller({}, "127.0.0.1")


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer {}"},
        {"authorization": "bearer {}"},
        {"authorization": "BEARER  {} "},
        {"x-api-key": "{}"},
        {"x-api-key": " {} "},
        {"authorization": "Bearer {}", "x-api-key": "{}"},
        {"authorization": "Basic dXNlcjpwYXNz", "x-api-key": "{}"},
    ],
)
def test_a_key_may_come_in_either_header(keys: KeyStore, headers: dict[str, str]) -> None:
    key, text = keys.create([Scope.VERIFY])
    given = {name: value.format(text) for name, value in headers.items()}

    assert Authority(keys, "on", reachable=True).caller(given, "::1").name == f"key:{key.id}"


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "want a key, as `Authorization: Bearer KEY` or `X-API-Key: KEY`"),
        ({"authorization": "Bearer"}, "want a key"),
        ({"authorization": "Bearer  ", "x-api-key": " "}, "want a key"),
        ({"authorization": "{}"}, "want a key"),
        ({"authorization": "Basic {}"}, "want a key"),
        ({"authorization": "Bearer {}x"}, "unknown, expired or revoked"),
        ({"authorization": "Bearer {0},{0}"}, "unknown, expired or revoked"),
        ({"authorization": "Bearer {}", "x-api-key": "lk_other_key"}, "got two that differ"),
    ],
)
def test_anything_else_is_nobody(keys: KeyStore, headers: dict[str, str], words: str) -> None:
    _, text = keys.create([Scope.ADMIN])
    given = {name: value.format(text) for name, value in headers.items()}

    with pytest.raises(Unauthorized, match=words) as refused:
        Authority(keys, "on", reachable=True).caller(given, "::1")
    assert text.split("_", 2)[2] not in str(refused.value)


def test_a_service_that_others_reach_does_not_start_without_a_key(keys: KeyStore) -> None:
    for auth in ("auto", "on"):
        with pytest.raises(StartError, match=r"^0\.0\.0\.0 can be reached .*likeness keys create.*LIKENESS_AUTH=off"):
            check_start(keys, auth, "0.0.0.0", reachable=True)  # noqa: S104
    keys.create([Scope.VERIFY])
    assert check_start(keys, "auto", "0.0.0.0", reachable=True) is None  # noqa: S104
    assert check_start(keys, "on", "0.0.0.0", reachable=True) is None  # noqa: S104


@pytest.mark.parametrize(
    ("auth", "reachable", "warning"),
    [
        ("off", True, "whoever reaches here may do everything"),
        ("off", False, "None"),
        ("auto", False, "None"),
        ("on", False, "every request gets 401"),
    ],
)
def test_what_starts_without_a_key_warns_where_that_may_surprise(
    keys: KeyStore, auth: Auth, reachable: bool, warning: str  # noqa: FBT001
) -> None:
    assert warning in str(check_start(keys, auth, "here", reachable=reachable))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.8.7", "::1", "[::1]", "localhost"])
def test_an_address_of_this_machine_alone_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "10.0.0.1", "fe80::1%lo", "localhost.example.org", "127.0.0.1.nip.io", "example.org", "127.1"]  # noqa: S104
)
def test_any_other_is_taken_for_reachable(host: str) -> None:
    assert not is_loopback(host)
