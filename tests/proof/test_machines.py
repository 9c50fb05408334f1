"""On PostgreSQL, with each of the indexes, two processes answer as a plain dictionary would, whatever they do."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from app.gallery.external_search import ExternalSearch
from app.gallery.repository import GalleryRepository
from app.gallery.search import GallerySearch
from app.gallery.searching import Search
from app.storage.milvus import MilvusIndex
from tests.support.lengths import length
from tests.support.milvus import MilvusServer, running_milvus
from tests.support.postgres import PostgresServer
from tests.unit.gallery.machine import TwoProcesses

CANDIDATES = 3
"""So few that searches have to ask again."""


@pytest.fixture(scope="module")
def milvus() -> Iterator[MilvusServer]:
    with running_milvus() as server:
        yield server


class OnPostgreSQL(TwoProcesses):
    def __init__(self, server: PostgresServer) -> None:
        self.server, self.stack = server, ExitStack()
        super().__init__()

    def make_database(self) -> str:
        return self.stack.enter_context(self.server.database())

    def remove_database(self) -> None:
        self.stack.close()

    def overwrite(self, column: str, junk: Any, gallery: int, face: str) -> None:
        data = junk if isinstance(junk, bytes) else b"?" + str(junk).encode()
        with psycopg.connect(str(self.address)) as db:
            statement = f"UPDATE faces SET {column} = %s WHERE gallery = %s AND id = %s"  # noqa: S608
            db.execute(statement.encode(), (data, gallery, face))


class WithFaiss(OnPostgreSQL):
    def make_search(self, repository: GalleryRepository) -> Search:
        return GallerySearch(repository)


class WithPgvector(OnPostgreSQL):
    def make_search(self, repository: GalleryRepository) -> Search:
        index = repository.vector_table(hnsw=False)
        assert index is not None
        return ExternalSearch(repository, index, candidates=CANDIDATES)


class WithMilvus(OnPostgreSQL):
    def __init__(self, server: PostgresServer, milvus: MilvusServer) -> None:
        self.milvus = milvus
        super().__init__(server)

    def make_search(self, repository: GalleryRepository) -> Search:
        index = MilvusIndex(self.milvus.url, repository.installation())
        self.stack.callback(index.close)
        return ExternalSearch(repository, index, candidates=CANDIDATES)


LENGTH = settings(
    max_examples=length(6, 150),
    stateful_step_count=length(20, 40),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.mark.parametrize("machine", [WithFaiss, WithPgvector])
def test_whatever_two_processes_do_on_postgresql(machine: type[OnPostgreSQL], postgres_server: PostgresServer) -> None:
    run_state_machine_as_test(partial(machine, postgres_server), settings=LENGTH)  # type: ignore[arg-type]


def test_whatever_two_processes_do_with_milvus(postgres_server: PostgresServer, milvus: MilvusServer) -> None:
    run_state_machine_as_test(partial(WithMilvus, postgres_server, milvus), settings=LENGTH)  # type: ignore[arg-type]
