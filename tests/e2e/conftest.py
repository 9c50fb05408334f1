from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.api import Api
from tests.support.commands import SCOPES, new_keys, with_key
from tests.support.server import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server without keys for all tests that change no setting."""
    with Server(tmp_path_factory.mktemp("plain") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def api(server: Server) -> Iterator[Api]:
    with Api.of(server) as client:
        yield client


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """A function that starts further servers on one data directory; those still running are stopped."""
    with ExitStack() as started:
        yield lambda **settings: started.enter_context(Server(tmp_path / "data", **settings))


@pytest.fixture
def connect() -> Iterator[Callable[[Server], Api]]:
    """A function that opens a client of a further server."""
    with ExitStack() as clients:
        yield lambda server: clients.enter_context(Api.of(server))


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server with keys for all tests that change no setting."""
    data_dir = tmp_path_factory.mktemp("guarded") / "data"
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
def admin(guarded: Server, keys: dict[str, str]) -> Iterator[Api]:
    with with_key(guarded, keys["admin"]) as client:
        yield client
