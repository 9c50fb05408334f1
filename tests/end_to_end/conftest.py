import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from .likeness import Likeness
from .operating import SCOPES, new_keys, with_key
from .server import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that only ask; it must end within ten seconds of SIGTERM."""
    with Server(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture(scope="session")
def http(server: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def likeness(http: httpx2.Client) -> Likeness:
    return Likeness(http)


@pytest.fixture(scope="session")
def gallery_names() -> Iterator[str]:
    return (f"gallery-{number}" for number in itertools.count())


@pytest.fixture
def gallery(gallery_names: Iterator[str]) -> str:
    """A name that no other test uses."""
    return next(gallery_names)


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts further servers, all on one data directory of this test's own; stops those still running."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(Server(tmp_path / "data", **settings))


@pytest.fixture
def connect() -> Iterator[Callable[[Server], Likeness]]:
    """A client of one further server."""
    clients: list[httpx2.Client] = []

    def to(running: Server) -> Likeness:
        clients.append(httpx2.Client(base_url=running.url, timeout=30))
        return Likeness(clients[-1])

    yield to
    for client in clients:
        client.close()


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server with keys, for all tests that change no setting."""
    data_dir = tmp_path_factory.mktemp("guarded")
    new_keys(data_dir, ["--scopes", "admin"])
    with Server(data_dir) as running:
        yield running


@pytest.fixture(scope="session")
def keys(guarded: Server) -> dict[str, str]:
    """One key for each scope, and `limited`: admin of the galleries mine and ours only."""
    options = {scope: ["--scopes", scope] for scope in SCOPES}
    options["limited"] = ["--scopes", "admin", "--galleries", "mine, ours"]
    return dict(zip(options, new_keys(guarded.data_dir, *options.values()), strict=True))


@pytest.fixture(scope="session")
def admin(guarded: Server, keys: dict[str, str]) -> Iterator[Likeness]:
    client = with_key(guarded, keys["admin"])
    yield client
    client.http.close()
