"""
One suite of the HTTP contract, which runs on two kinds of service.

`pytest tests/contract` calls the application in this process. `pytest tests/contract -m e2e` starts `likeness serve`
and calls it over a socket. `pytest tests` does both. Modules with the marker `any_database` also run on an encrypted
database in PostgreSQL. Either way there is one service for all tests. It asks for keys; the fixtures `http` and `api`
have the key of an administrator.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from app.access.api_keys import KeyStore
from app.bootstrap.storage import GALLERY_FILE
from app.domain.identity import Scope
from app.main import create_app
from app.settings import Settings
from app.storage.cipher import AesGcmCipher, parse_keys
from tests.support.api import Api
from tests.support.commands import encryption_key, eventually
from tests.support.postgres import PostgresServer
from tests.support.repository import open_database
from tests.support.server import REPOSITORY, Server

HERE = Path(__file__).parent
Connect = Callable[[dict[str, str]], httpx2.Client]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the suite on a live service only if `-m` is given or tests/e2e runs too."""
    if config.option.markexpr or any(item.path.is_relative_to(HERE.parent / "e2e") for item in items):
        return
    live = [item for item in items if item.path.is_relative_to(HERE) and item.get_closest_marker("e2e")]
    config.hook.pytest_deselected(items=live)
    items[:] = [item for item in items if item not in set(live)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "service" in metafunc.fixturenames:
        kinds = ["in-process", pytest.param("live", marks=pytest.mark.e2e)]
        if metafunc.definition.get_closest_marker("any_database"):
            kinds.append(pytest.param("postgresql", marks=pytest.mark.slow))
        metafunc.parametrize("service", kinds, indirect=True, scope="session")


@dataclass(frozen=True)
class Service:
    """`connect` opens a client that sends these headers with each request; `opened` closes it in the end."""

    data_dir: Path
    connect: Connect
    keys: KeyStore
    opened: ExitStack
    hears_later: bool
    """True if the service knows of a new key only a moment later, as with PostgreSQL."""

    def new_key(self, *scopes: Scope, **options: Any) -> str:
        """Return a key that the service knows."""
        key = self.keys.create(scopes, **options)[1]
        if not self.hears_later:
            return key
        with closing(self.connect({"X-API-Key": key})) as client:
            assert eventually(lambda: client.get("/galleries").status_code != 401)
        return key

    def client(self, key: str | None = None, **headers: str) -> httpx2.Client:
        client = self.connect(headers | ({"X-API-Key": key} if key else {}))
        self.opened.callback(client.close)
        return client


@contextmanager
def in_process(data_dir: Path, **others: Any) -> Iterator[Connect]:
    given = {"data_dir": data_dir, "models_dir": REPOSITORY / "models", "auth": "on", "rate_limit": 0, **others}
    app = create_app(Settings(**given, _env_file=None))

    def client(headers: dict[str, str]) -> TestClient:
        return TestClient(app, raise_server_exceptions=False, headers=headers, follow_redirects=False)

    with client({}) as opened:

        def connect(headers: dict[str, str]) -> httpx2.Client:
            made = client(headers)
            made.portal = opened.portal  # one event loop for all clients
            return made

        yield connect


@contextmanager
def live(data_dir: Path, **others: Any) -> Iterator[Connect]:
    given = {"auth": "on", "rate_limit": 0, **others}
    with Server(data_dir, **{f"LIKENESS_{name.upper()}": str(value) for name, value in given.items()}) as server:
        yield lambda headers: Api.of(server, **headers).http


@pytest.fixture(scope="session")
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    data_dir = tmp_path_factory.mktemp("contract") / "data"
    with pytest.MonkeyPatch.context() as patch, ExitStack() as opened:
        for name in [name for name in os.environ if name.startswith("LIKENESS_")]:
            patch.delenv(name)
        if request.param == "postgresql":
            server: PostgresServer = request.getfixturevalue("postgres_server")
            url, key = opened.enter_context(server.database()), encryption_key()
            connect = opened.enter_context(in_process(data_dir, database=url, encryption_key=key))
            database = open_database(url, AesGcmCipher(parse_keys(key)))
        else:
            running = live if request.param == "live" else in_process
            connect = opened.enter_context(running(data_dir))
            database = open_database(data_dir / GALLERY_FILE)
        opened.enter_context(closing(database))
        yield Service(data_dir, connect, KeyStore(database), opened, hears_later=request.param == "postgresql")


@pytest.fixture(scope="session", params=["in-process", pytest.param("live", marks=pytest.mark.e2e)])
def judging(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Another service, which judges liveness, keeps crops and asks for no keys."""
    running = live if request.param == "live" else in_process
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("LIKENESS_")]:
            patch.delenv(name)
        data_dir = tmp_path_factory.mktemp("judging") / "data"
        with running(data_dir, auth="off", liveness="on", keep_crops="on") as connect, closing(connect({})) as client:
            yield Api(client)


@pytest.fixture(scope="session")
def keys(service: Service) -> dict[str, str]:
    """One key for each scope, and `limited`: admin of the galleries mine and ours only."""
    made = {scope.value: service.new_key(scope) for scope in Scope}
    return made | {"limited": service.new_key(Scope.ADMIN, galleries=["mine", "ours"])}


@pytest.fixture(scope="session")
def http(service: Service, keys: dict[str, str]) -> httpx2.Client:
    return service.client(keys["admin"])


@pytest.fixture(scope="session")
def api(http: httpx2.Client) -> Api:
    return Api(http)


@pytest.fixture(scope="session")
def gallery_names() -> Iterator[str]:
    return (f"gallery-{number}" for number in itertools.count())


@pytest.fixture
def gallery(gallery_names: Iterator[str]) -> str:
    """A name that no other test uses."""
    return next(gallery_names)
