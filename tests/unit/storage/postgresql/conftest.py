from collections.abc import Iterator

import pytest

from app.storage.postgresql.database import Database
from app.storage.postgresql.migrate import open_migrated
from tests.support.postgres import PostgresServer


@pytest.fixture
def url(postgres_server: PostgresServer) -> Iterator[str]:
    with postgres_server.database() as url:
        yield url


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = open_migrated(url)
    yield opened
    opened.close()


@pytest.fixture
def other(url: str) -> Iterator[Database]:
    """The database as another process has it open."""
    opened = open_migrated(url)
    yield opened
    opened.close()
