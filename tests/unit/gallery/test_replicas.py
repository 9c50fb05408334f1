"""Three replicas over one PostgreSQL server never disagree about an acknowledged change, whatever happens to it."""

import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from app.audit.log import AuditLog
from app.domain.embeddings import Embedding
from app.domain.errors import InvalidRequest, NotFound, ServiceError, StorageUnavailable
from app.gallery.search import GallerySearch
from app.storage.cipher import AesGcmCipher
from app.storage.postgresql import connection
from tests.support.background import map_in_threads
from tests.support.commands import eventually
from tests.support.linearizable import FOREVER, Operation, is_linearizable
from tests.support.postgres import PostgresServer, running_server
from tests.support.proxy import StallingProxy
from tests.support.repository import FileRepository
from tests.support.templates import MODEL, numbered, unit

pytestmark = pytest.mark.slow  # each has a server of its own
CIPHER = AesGcmCipher([bytes(range(32))])
SUBJECTS = range(4)
STRICT = 0.001  # a squared distance that only the same vector has


class Replica:
    def __init__(self, address: str) -> None:
        self.repository = FileRepository(address, cipher=CIPHER)
        self.search = GallerySearch(self.repository)

    def finds(self, number: int) -> bool:
        _, hits = self.search.search("guests", Embedding(unit(number), MODEL), 1, STRICT, plain=True)
        return [hit.subject_id for hit in hits] == [str(number)]

    def enroll(self, number: int) -> None:
        self.repository.enroll("guests", str(number), numbered(str(number), number))

    def delete(self, number: int) -> None:
        self.repository.delete_subject("guests", str(number))


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server of its own, which a test may kill."""
    with running_server() as server:
        yield server


@pytest.fixture
def address(server: PostgresServer) -> Iterator[str]:
    with server.database() as url:
        yield url


@pytest.fixture
def replicas(address: str) -> Iterator[list[Replica]]:
    with ExitStack() as opened:
        found = [Replica(address) for _ in range(3)]
        for each in found:
            opened.callback(each.repository.close)
        found[0].repository.create_gallery("guests")
        yield found


Outcome = tuple[bool | None, bool]
"""The state that an operation left, or None if it left it as it was, and the state that it saw."""


def enroll(replica: Replica, number: int) -> Outcome:
    try:
        replica.enroll(number)
    except InvalidRequest:  # the face is there already
        return None, True
    return True, False


def delete(replica: Replica, number: int) -> Outcome:
    try:
        replica.delete(number)
    except NotFound:
        return None, False
    return False, True


def look(replica: Replica, number: int) -> Outcome:
    return None, replica.finds(number)


ACTIONS: Sequence[tuple[Callable[[Replica, int], Outcome], bool | None]] = [
    (look, None),
    (look, None),
    (enroll, True),
    (delete, False),
]
"""Each with the state that it leaves if its outcome is unknown."""


@dataclass
class History:
    operations: defaultdict[int, list[Operation]] = field(default_factory=lambda: defaultdict(list))
    failures: int = 0

    def act(self, replica: Replica, number: int, action: Callable[[Replica, int], Outcome], meant: bool | None) -> None:  # noqa: FBT001
        begin = time.monotonic()
        try:
            effect, seen = action(replica, number)
        except ServiceError:
            self.failures += 1
            if meant is not None:
                self.operations[number].append(Operation(begin, FOREVER, meant, None, is_certain=False))
            return
        self.operations[number].append(Operation(begin, time.monotonic(), effect, frozenset({seen})))


def drive(replicas: list[Replica], rounds: int) -> History:
    history = History()

    def client(seed: int) -> None:
        chosen = random.Random(seed)  # noqa: S311
        for _ in range(rounds):
            history.act(replicas[chosen.randrange(3)], chosen.choice(SUBJECTS), *chosen.choice(ACTIONS))

    map_in_threads(client, range(4), 4)
    return history


def check(replicas: list[Replica], history: History) -> None:
    assert all(is_linearizable(operations, initial=False) for operations in history.operations.values())
    views = [[replica.finds(number) for number in SUBJECTS] for replica in replicas]
    assert views[0] == views[1] == views[2]
    assert AuditLog(replicas[0].repository.database).verify().fault is None
    assert replicas[0].repository.check_integrity() == []


def test_what_one_replica_answered_all_others_know(replicas: list[Replica]) -> None:
    history = drive(replicas, rounds=25)

    assert history.failures == 0
    check(replicas, history)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_also_while_the_server_is_restarted_and_killed(
    server: PostgresServer, replicas: list[Replica], how: signal.Signals
) -> None:
    over = threading.Event()

    def disturb() -> None:
        while not over.wait(0.7):
            server.stop(how)
            server.start()

    disturber = threading.Thread(target=disturb, daemon=True)
    disturber.start()
    try:
        history = drive(replicas, rounds=60)
    finally:
        over.set()
        disturber.join()

    check(replicas, history)


def test_an_erased_face_leaves_the_memory_of_idle_replicas(replicas: list[Replica]) -> None:
    first, *idle = replicas
    first.enroll(1)
    first.enroll(2)
    for each in idle:
        each.search.load_indexes()
        each.search.update_indexes()
    first.delete(1)

    def is_forgotten(replica: Replica) -> bool:
        replica.search.update_indexes()
        indexed = replica.search._indexed["guests"].index
        return indexed is not None and len(indexed) == 1

    assert all(eventually(lambda each=each: is_forgotten(each)) for each in idle)  # type: ignore[misc]


def test_a_replica_behind_a_network_that_drops_everything_fails_and_recovers(
    server: PostgresServer, address: str, replicas: list[Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection.Wire, "answer_timeout", 0.5)
    name = urlsplit(address).path.removeprefix("/")
    with StallingProxy(f"{server.folder}/.s.PGSQL.5432") as proxy:
        through = f"postgresql://likeness@127.0.0.1:{proxy.port}/{name}"
        with closing(FileRepository(through, cipher=CIPHER)) as repository:
            repository.put_subject("guests", "ada", {})
            proxy.stall()
            with pytest.raises(StorageUnavailable, match="the database cannot be used now"):
                repository.put_subject("guests", "bob", {})
            proxy.forward()
            repository.put_subject("guests", "eve", {})

        assert {each.subject_id for each in replicas[0].repository.subjects("guests", 9, "")} >= {"ada", "eve"}
