"""A key opens what it was made for, for as long as it was made for, in whichever process; and it is kept nowhere."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.access.api_keys import KeyStore
from app.audit.log import AuditLog
from app.domain.clock import written
from app.domain.errors import InvalidRequest, NotFound, Unauthorized
from app.domain.identity import Actor, Caller, Scope
from app.storage.sqlite import Database
from tests.support.background import map_in_threads

SHARED = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
SCOPES = st.lists(st.sampled_from(Scope), min_size=1, unique=True)
GALLERIES = st.none() | st.lists(st.text(max_size=9), max_size=3, unique=True)
COUNT = st.none() | st.integers(0, 10_000)
Change = Callable[[str, int], str]


@SHARED
@given(scopes=SCOPES, galleries=GALLERIES, rate=COUNT, concurrent=COUNT, name=st.text(max_size=9))
def test_a_key_is_its_caller_with_just_what_it_was_made_with(
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

    assert keys.caller(text) == others.caller(text) == expected
    assert [(each.name, tuple(each.scopes)) for each in others.all() if each.id == key.id] == [(name, tuple(scopes))]


def test_a_key_says_what_it_is_and_has_a_secret_of_256_bits(keys: KeyStore) -> None:
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
    ids=["changed", "left out", "put in", "cut off"],
)
def test_a_key_with_any_character_wrong_is_no_key(keys: KeyStore, change: Change) -> None:
    _, text = keys.create([Scope.ADMIN])
    opened = [at for at in range(len(text)) if _opens(keys, change(text, at))]

    assert _opens(keys, text)
    assert opened == []


@pytest.mark.parametrize("text", ["", "lk", "lk_", "lk__", "lk_000000000000_", "_", "lk_ü_\xff", "x" * 100_000])
def test_what_is_no_key_is_refused_without_a_word_on_why(keys: KeyStore, text: str) -> None:
    keys.create([Scope.ADMIN])

    with pytest.raises(Unauthorized, match=r"^this key is unknown, expired or revoked$"):
        keys.caller(text)


def test_the_secret_of_one_key_does_not_open_another(keys: KeyStore) -> None:
    (one, _), (_, text) = keys.create([Scope.ADMIN]), keys.create([Scope.VERIFY])

    assert not _opens(keys, f"lk_{one.id}_{text.split('_', 2)[2]}")


def test_a_key_holds_until_it_expires_and_no_longer(keys: KeyStore) -> None:
    fresh, text = keys.create([Scope.VERIFY], lifetime=timedelta(hours=1))
    _, old = keys.create([Scope.VERIFY], lifetime=timedelta(milliseconds=-1))
    minutes = [written(datetime.now(UTC) + timedelta(minutes=minutes)) for minutes in (0, 59, 61)]

    assert (_opens(keys, text), _opens(keys, old)) == (True, False)
    assert [fresh.is_active(moment) for moment in minutes] == [True, True, False]
    assert fresh.expires_at is not None
    assert not fresh.is_active(fresh.expires_at)


def test_a_running_service_notices_at_once_what_a_command_does(keys: KeyStore, others: KeyStore) -> None:
    asked_before = keys.any()
    key, text = others.create([Scope.VERIFY])
    made = keys.any(), _opens(keys, text)
    others.revoke(key.id)

    assert (asked_before, made) == (False, (True, True))
    assert not _opens(keys, text)
    assert not _opens(others, text)


def test_a_service_that_ever_had_a_key_does_not_open_by_itself(keys: KeyStore, others: KeyStore) -> None:
    key, _ = keys.create([Scope.VERIFY], lifetime=timedelta(milliseconds=-1))
    keys.revoke(key.id)

    assert keys.any()
    assert others.any()


def test_a_revoked_key_stays_revoked_since_it_first_was(keys: KeyStore) -> None:
    key, _ = keys.create([Scope.VERIFY])
    keys.revoke(key.id)
    (first,) = keys.all()
    keys.revoke(key.id)

    assert keys.all() == [first]
    assert first.revoked_at is not None
    with pytest.raises(NotFound, match="no key 'nobody'"):
        keys.revoke("nobody")


def test_a_key_without_a_scope_is_not_made(keys: KeyStore) -> None:
    with pytest.raises(InvalidRequest, match="at least one scope"):
        keys.create([])
    assert not keys.any()


def test_the_audit_log_says_who_made_and_who_ended_a_key_and_no_secret(keys: KeyStore, database: Database) -> None:
    key, text = keys.create([Scope.ENROLL], by=Actor("cli:ada"))
    keys.revoke(key.id, Actor("cli:bob"))
    entries = AuditLog(database).entries()

    assert [(each["by"], each["action"], each["key"]) for each in entries] == [
        ("cli:ada", "key.create", key.id),
        ("cli:bob", "key.revoke", key.id),
    ]
    assert text.split("_", 2)[2] not in str(entries)


def test_no_byte_of_a_secret_is_in_any_file(keys: KeyStore, path: Path) -> None:
    texts = [keys.create([Scope.ADMIN], name="Ada")[1] for _ in range(5)]
    keys.revoke(texts[0].split("_")[1])
    kept = b"".join(file.read_bytes() for file in path.parent.iterdir())
    pieces = [text.split("_", 2)[2].encode()[start : start + 8] for text in texts for start in range(0, 40, 8)]

    assert texts[1].split("_")[1].encode() in kept
    assert [piece for piece in pieces if piece in kept] == []


def test_threads_that_ask_while_keys_come_and_go_see_each_as_it_is(keys: KeyStore, others: KeyStore) -> None:
    _, steady = keys.create([Scope.VERIFY])

    def come_and_go(_: int) -> bool:
        key, text = others.create([Scope.VERIFY])
        came = _opens(keys, text)
        others.revoke(key.id)
        return came and not _opens(keys, text) and _opens(keys, steady)

    assert all(map_in_threads(come_and_go, range(12), 4))


def _opens(keys: KeyStore, text: str) -> bool:
    try:
        keys.caller(text)
    except Unauthorized:
        return False
    return True
