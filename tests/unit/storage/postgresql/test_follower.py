"""A process knows within a second what another one has committed, or says that it does not."""

from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from app.access.api_keys import KeyStore
from app.domain.errors import StorageUnavailable, Unauthorized
from app.domain.identity import Scope
from app.storage.postgresql import follower as module
from app.storage.postgresql.database import Database
from app.storage.postgresql.migrate import open_migrated
from tests.support.commands import eventually
from tests.support.postgres import PostgresServer, running_server
from tests.unit.audit.writing import record

pytestmark = pytest.mark.slow  # some have a server of their own


def is_accepted(keys: KeyStore, text: str) -> bool:
    try:
        keys.authenticate(text)
    except Unauthorized:
        return False
    return True


def test_a_change_of_another_process_is_known_soon(database: Database, other: Database) -> None:
    before = database.data_version()
    record(other)

    assert eventually(lambda: database.data_version() > before)


def test_a_change_is_known_without_a_notification_too(
    database: Database, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHANNEL", "elsewhere")
    before = database.data_version()
    record(other)

    assert eventually(lambda: database.data_version() > before)


def test_a_revoked_key_is_refused_by_other_processes_soon(database: Database, other: Database) -> None:
    here, there = KeyStore(database), KeyStore(other)
    key, text = here.create([Scope.VERIFY])
    assert eventually(lambda: is_accepted(there, text))
    here.revoke(key.id)

    assert not is_accepted(here, text)
    assert eventually(lambda: not is_accepted(there, text))


def test_keys_are_read_again_only_after_a_change_of_keys(database: Database, other: Database) -> None:
    KeyStore(other).create([Scope.VERIFY])
    assert eventually(lambda: database.api_keys_version() != b"")
    before, seen = database.api_keys_version(), database.data_version()
    record(other)

    assert eventually(lambda: database.data_version() > seen)
    assert database.api_keys_version() == before


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    with running_server() as server:
        yield server


def test_without_the_server_nothing_is_known_and_later_it_is_again(
    own_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_SILENCE", 0.5)
    with own_server.database() as url:
        database = open_migrated(url)
        record(database)
        assert eventually(lambda: database.data_version() == 1)
        own_server.stop()
        assert eventually(lambda: not answers(database))
        behind = database.seconds_behind()
        with pytest.raises(StorageUnavailable):
            record(database)
        own_server.start()
        assert eventually(lambda: answers(database), within=60)
        record(database)
        database.close()

    assert behind >= 0.5


def answers(database: Database) -> bool:
    try:
        database.data_version()
    except StorageUnavailable:
        return False
    return True


def test_a_database_that_lost_known_changes_is_refused(
    url: str, database: Database, postgres_server: PostgresServer
) -> None:
    name = urlsplit(url).path.removeprefix("/")
    record(database)
    record(database)
    assert eventually(lambda: database.data_version() == 2)
    postgres_server.execute(
        "SET session_replication_role = replica; DELETE FROM audit WHERE seq = 2; "
        "UPDATE audit_head SET seq = 1, hash = (SELECT hash FROM audit WHERE seq = 1)",
        name,
    )

    assert eventually(lambda: not answers(database))
    with pytest.raises(StorageUnavailable, match="has lost changes"):
        database.data_version()
    with closing(open_migrated(url)) as restarted:
        assert restarted.data_version() == 1
