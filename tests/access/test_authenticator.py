"""Whether keys are asked for, and whose request it is."""

from datetime import timedelta

import pytest

from app.access.api_keys import KeyStore
from app.access.authenticator import Auth, Authenticator, check_exposure, is_loopback, network_of
from app.domain.errors import StartError, Unauthorized
from app.domain.identity import Scope, anonymous

AUTH: list[Auth] = ["auto", "on", "off"]


@pytest.mark.parametrize("reachable", [False, True])
@pytest.mark.parametrize("any_key", [False, True])
@pytest.mark.parametrize("auth", AUTH)
def test_keys_are_asked_for_where_the_contract_says(keys: KeyStore, auth: Auth, any_key: bool, reachable: bool) -> None:  # noqa: FBT001
    made = [keys.create([Scope.VERIFY], lifetime=timedelta(seconds=-1)) for _ in range(any_key)]
    expected = {"on": True, "off": False, "auto": bool(made) or reachable}

    assert Authenticator(keys, auth, reachable=reachable).requires_key() == expected[auth]


def test_the_first_key_shuts_a_service_that_runs(keys: KeyStore, others: KeyStore) -> None:
    authority = Authenticator(keys, "auto", reachable=False)
    before = authority.authenticate([], "127.0.0.1")
    others.create([Scope.VERIFY])

    assert before == anonymous("address:127.0.0.1")
    with pytest.raises(Unauthorized):
        authority.authenticate([], "127.0.0.1")


def test_the_one_key_that_was_given_says_who_asks(keys: KeyStore) -> None:
    key, text = keys.create([Scope.VERIFY])

    assert Authenticator(keys, "on", reachable=True).authenticate({text}, "::1").name == f"key:{key.id}"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "want a key, as `Authorization: Bearer KEY` or `X-API-Key: KEY`"),
        (["{}x"], "unknown, expired or revoked"),
        (["{0},{0}"], "unknown, expired or revoked"),
        (["{}", "lk_other_key"], "got several that differ"),
    ],
)
def test_anything_else_is_nobody(keys: KeyStore, given: list[str], words: str) -> None:
    _, text = keys.create([Scope.ADMIN])

    with pytest.raises(Unauthorized, match=words) as refused:
        Authenticator(keys, "on", reachable=True).authenticate([each.format(text) for each in given], "::1")
    assert text.split("_", 2)[2] not in str(refused.value)


def test_where_no_keys_are_asked_for_none_is_looked_at(keys: KeyStore) -> None:
    authority = Authenticator(keys, "off", reachable=True)

    assert authority.authenticate({"nonsense", "more"}, "10.0.0.1") == anonymous("address:10.0.0.1")


def test_a_service_that_others_reach_does_not_start_without_a_key(keys: KeyStore) -> None:
    for auth in ("auto", "on"):
        with pytest.raises(StartError, match=r"^0\.0\.0\.0 can be reached .*likeness keys create.*LIKENESS_AUTH=off"):
            check_exposure(keys, auth, "0.0.0.0", reachable=True)  # noqa: S104
    keys.create([Scope.VERIFY])
    assert check_exposure(keys, "auto", "0.0.0.0", reachable=True) is None  # noqa: S104
    assert check_exposure(keys, "on", "0.0.0.0", reachable=True) is None  # noqa: S104


@pytest.mark.parametrize(
    ("auth", "reachable", "warning"),
    [
        ("off", True, "whoever reaches here may do everything"),
        ("off", False, "whoever reaches here may do everything"),
        ("auto", False, "None"),
        ("on", False, "every request gets 401"),
    ],
)
def test_what_starts_without_a_key_warns_where_that_may_surprise(
    keys: KeyStore,
    auth: Auth,
    reachable: bool,  # noqa: FBT001
    warning: str,
) -> None:
    assert warning in str(check_exposure(keys, auth, "here", reachable=reachable))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.8.7", "::1", "[::1]", "localhost"])
def test_an_address_of_this_machine_alone_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",  # noqa: S104
        "::",
        "",
        "10.0.0.1",
        "fe80::1%lo",
        "localhost.example.org",
        "127.0.0.1.nip.io",
        "example.org",
        "127.1",
    ],
)
def test_any_other_is_taken_for_reachable(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("auth", AUTH)
def test_the_address_alone_keeps_others_out_where_it_is_loopback_and_no_key_is_asked_for(
    keys: KeyStore, auth: Auth
) -> None:
    loopback_only = [Authenticator(keys, auth, reachable=reachable).loopback_only() for reachable in (False, True)]
    keys.create([Scope.VERIFY])

    assert loopback_only == [auth != "on", False]
    assert Authenticator(keys, auth, reachable=False).loopback_only() == (auth == "off")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("unknown", "unknown", True),
        ("unknown", "192.0.2.1", False),
    ],
)
def test_callers_without_a_key_are_told_apart_by_what_one_of_them_holds(one: str, other: str, same: bool) -> None:  # noqa: FBT001
    assert (network_of(one) == network_of(other)) == same
