"""A key authenticates its caller until it expires or is revoked, in every process; its secret is not stored."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.access.api_keys import KeyStore
from app.audit.log import AuditLog
from app.domain.clock import format_time
from app.domain.errors import InvalidRequest, NotFound, Unauthorized
from app.domain.identity import Actor, Caller, Scope
from app.storage.sqlite import Database
from tests.support.background import map_in_threads

pytestmark = pytest.mark.any_database

SHARED = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
SCOPES = st.lists(st.sampled_from(Scope), min_size=1, unique=True)
GALLERIES = st.none() | st.lists(st.text(max_size=9), max_size=3, unique=True)
COUNT = st.none() | st.integers(0, 10_000)
Change = Callable[[str, int], str]


@pytest.mark.only_sqlite
@SHARED
@given(scopes=SCOPES, galleries=GALLERIES, rate=COUNT, concurrent=COUNT, name=st.text(max_size=9))
def test_key_authenticates_a_caller_with_exactly_its_rights(
    keys: KeyStore,
    others: KeyStore,
    scopes: list[Scope],
    galleries: list[str] | None,
    rate: int | None,
    concurrent: int | None,
    name: str,
) -> None:
    key, text = keys.create(scopes, name=name, galleries=galleries, rate=rate, concurrent=concurrent)
    allowed = None if galleries is None else frozenset(galleries)
    expected = Caller(f"key:{key.id}", frozenset(scopes), allowed, rate, concurrent)
    assert keys.authenticate(text) == others.authenticate(text) == expected
    assert [(each.name, tuple(each.scopes)) for each in others.all() if each.id == key.id] == [(name, tuple(scopes))]


def test_key_has_a_prefix_and_a_secret_of_256_bits(keys: KeyStore) -> None:
    texts = [keys.create([Scope.VERIFY])[1] for _ in range(20)]
    assert all(re.fullmatch(r"lk_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", text) for text in texts)
    assert len({text.split("_", 2)[2] for text in texts}) == 20


@pytest.mark.parametrize(
    "change",
    [
        lambda text, at: text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :],
        lambda text, at: text[:at] + text[at + 1 :],
        lambda text, at: text[:at] + "x" + text[at:],
        lambda text, at: text[:at],
    ],
    ids=["changed", "removed", "inserted", "cut off"],
)
def test_key_with_one_wrong_character_is_refused(keys: KeyStore, change: Change) -> None:
    _, text = keys.create([Scope.ADMIN])
    accepted = [at for at in range(len(text)) if _is_valid(keys, change(text, at))]
    assert _is_valid(keys, text)
    assert accepted == []


@pytest.mark.parametrize("text", ["", "lk", "lk_", "lk__", "lk_000000000000_", "_", "lk_ü_\xff", "x" * 100_000])
def test_refusal_does_not_reveal_its_reason(keys: KeyStore, text: str) -> None:
    keys.create([Scope.ADMIN])
    with pytest.raises(Unauthorized, match=r"^the key is unknown, expired or revoked$"):
        keys.authenticate(text)


def test_secret_is_valid_only_with_its_own_id(keys: KeyStore) -> None:
    (one, _), (_, text) = keys.create([Scope.ADMIN]), keys.create([Scope.VERIFY])
    assert not _is_valid(keys, f"lk_{one.id}_{text.split('_', 2)[2]}")


def test_key_is_valid_until_it_expires(keys: KeyStore) -> None:
    fresh, text = keys.create([Scope.VERIFY], lifetime=timedelta(hours=1))
    _, old = keys.create([Scope.VERIFY], lifetime=timedelta(milliseconds=-1))
    minutes = [format_time(datetime.now(UTC) + timedelta(minutes=minutes)) for minutes in (0, 59, 61)]
    assert (_is_valid(keys, text), _is_valid(keys, old)) == (True, False)
    assert [fresh.is_active(moment) for moment in minutes] == [True, True, False]
    assert fresh.expires_at is not None
    assert not fresh.is_active(fresh.expires_at)


@pytest.mark.only_sqlite
def test_changes_of_another_process_apply_at_once(keys: KeyStore, others: KeyStore) -> None:
    before = keys.has_keys()
    key, text = others.create([Scope.VERIFY])
    created = keys.has_keys(), _is_valid(keys, text)
    others.revoke(key.id)
    assert (before, created) == (False, (True, True))
    assert not _is_valid(keys, text)
    assert not _is_valid(others, text)


def test_revoked_and_expired_keys_still_count_as_keys(keys: KeyStore, others: KeyStore) -> None:
    key, _ = keys.create([Scope.VERIFY], lifetime=timedelta(milliseconds=-1))
    keys.revoke(key.id)
    assert keys.has_keys()
    assert others.has_keys()


def test_revoking_again_keeps_the_first_time(keys: KeyStore) -> None:
    key, _ = keys.create([Scope.VERIFY])
    keys.revoke(key.id)
    (first,) = keys.all()
    keys.revoke(key.id)
    assert keys.all() == [first]
    assert first.revoked_at is not None
    with pytest.raises(NotFound, match="no key 'nobody'"):
        keys.revoke("nobody")


def test_key_needs_a_scope(keys: KeyStore) -> None:
    with pytest.raises(InvalidRequest, match="at least one scope"):
        keys.create([])
    assert not keys.has_keys()


def test_audit_log_has_the_author_of_each_change_and_no_secret(keys: KeyStore, database: Database) -> None:
    key, text = keys.create([Scope.ENROLL], by=Actor("cli:ada"))
    keys.revoke(key.id, Actor("cli:bob"))
    entries = AuditLog(database).entries()
    assert [(each["by"], each["action"], each["key"]) for each in entries] == [
        ("cli:ada", "key.create", key.id),
        ("cli:bob", "key.revoke", key.id),
    ]
    assert text.split("_", 2)[2] not in str(entries)


@pytest.mark.only_sqlite
def test_secrets_are_in_no_file(keys: KeyStore, path: Path) -> None:
    texts = [keys.create([Scope.ADMIN], name="Ada")[1] for _ in range(5)]
    keys.revoke(texts[0].split("_")[1])
    stored = b"".join(file.read_bytes() for file in path.parent.iterdir())
    pieces = [text.split("_", 2)[2].encode()[start : start + 8] for text in texts for start in range(0, 40, 8)]
    assert texts[1].split("_")[1].encode() in stored
    assert [piece for piece in pieces if piece in stored] == []


@pytest.mark.only_sqlite
def test_threads_see_every_change_of_another_process(keys: KeyStore, others: KeyStore) -> None:
    _, steady = keys.create([Scope.VERIFY])

    def create_and_revoke(_: int) -> bool:
        key, text = others.create([Scope.VERIFY])
        created = _is_valid(keys, text)
        others.revoke(key.id)
        return created and not _is_valid(keys, text) and _is_valid(keys, steady)

    assert all(map_in_threads(create_and_revoke, range(12), 4))


def _is_valid(keys: KeyStore, text: str) -> bool:
    try:
        keys.authenticate(text)
    except Unauthorized:
        return False
    return True
