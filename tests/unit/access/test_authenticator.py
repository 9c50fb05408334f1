"""When a key is required, and who makes a request."""

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
def test_key_is_required_as_configured(keys: KeyStore, auth: Auth, any_key: bool, reachable: bool) -> None:  # noqa: FBT001
    made = [keys.create([Scope.VERIFY], lifetime=timedelta(seconds=-1)) for _ in range(any_key)]
    expected = {"on": True, "off": False, "auto": bool(made) or reachable}
    assert Authenticator(keys, auth, reachable=reachable).requires_key() == expected[auth]


def test_first_key_makes_keys_required_in_a_running_service(keys: KeyStore, others: KeyStore) -> None:
    authenticator = Authenticator(keys, "auto", reachable=False)
    before = authenticator.authenticate([], "127.0.0.1")
    others.create([Scope.VERIFY])
    assert before == anonymous("address:127.0.0.1")
    with pytest.raises(Unauthorized):
        authenticator.authenticate([], "127.0.0.1")


def test_one_valid_key_authenticates_its_owner(keys: KeyStore) -> None:
    key, text = keys.create([Scope.VERIFY])
    assert Authenticator(keys, "on", reachable=True).authenticate({text}, "::1").name == f"key:{key.id}"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "expected a key in `Authorization: Bearer KEY` or `X-API-Key: KEY`, got none"),
        (["{}x"], "unknown, expired or revoked"),
        (["{0},{0}"], "unknown, expired or revoked"),
        (["{}", "lk_other_key"], "expected one key, got 2 different ones"),
    ],
)
def test_missing_invalid_or_contradictory_keys_are_refused_without_quoting_them(
    keys: KeyStore, given: list[str], words: str
) -> None:
    _, text = keys.create([Scope.ADMIN])
    with pytest.raises(Unauthorized, match=words) as refused:
        Authenticator(keys, "on", reachable=True).authenticate([each.format(text) for each in given], "::1")
    assert text.split("_", 2)[2] not in str(refused.value)


def test_keys_are_ignored_if_none_is_required(keys: KeyStore) -> None:
    authenticator = Authenticator(keys, "off", reachable=True)
    assert authenticator.authenticate({"nonsense", "more"}, "10.0.0.1") == anonymous("address:10.0.0.1")


def test_reachable_service_does_not_start_without_a_key(keys: KeyStore) -> None:
    for auth in ("auto", "on"):
        with pytest.raises(
            StartError, match=r"^other machines can reach 0\.0\.0\.0, .*likeness keys create.*LIKENESS_AUTH=off"
        ):
            check_exposure(keys, auth, "0.0.0.0", reachable=True)  # noqa: S104
    keys.create([Scope.VERIFY])
    assert check_exposure(keys, "auto", "0.0.0.0", reachable=True) is None  # noqa: S104
    assert check_exposure(keys, "on", "0.0.0.0", reachable=True) is None  # noqa: S104


@pytest.mark.parametrize(
    ("auth", "reachable", "warning"),
    [
        ("off", True, "everybody who can reach here may do everything"),
        ("off", False, "everybody who can reach here may do everything"),
        ("auto", False, "None"),
        ("on", False, "every request is answered with 401"),
    ],
)
def test_start_without_a_key_warns_unless_it_is_the_default(
    keys: KeyStore,
    auth: Auth,
    reachable: bool,  # noqa: FBT001
    warning: str,
) -> None:
    assert warning in str(check_exposure(keys, auth, "here", reachable=reachable))


LOOPBACK = ["127.0.0.1", "127.9.8.7", "::1", "[::1]", "localhost"]
REACHABLE = ["0.0.0.0", "::", "", "10.0.0.1", "fe80::1%lo", "localhost.example.org", "127.0.0.1.nip.io", "127.1"]  # noqa: S104


@pytest.mark.parametrize("host", LOOPBACK + REACHABLE)
def test_only_addresses_of_this_machine_are_loopback(host: str) -> None:
    assert is_loopback(host) == (host in LOOPBACK)


@pytest.mark.parametrize("auth", AUTH)
def test_loopback_only_means_an_unreachable_service_without_keys(keys: KeyStore, auth: Auth) -> None:
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
def test_callers_without_a_key_are_distinguished_by_address_or_ipv6_network(one: str, other: str, same: bool) -> None:  # noqa: FBT001
    assert (network_of(one) == network_of(other)) == same
