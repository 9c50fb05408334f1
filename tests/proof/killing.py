"""
Services that are killed, on a SQLite file or on PostgreSQL, and one whose PostgreSQL server is killed.

A process that re-embeds galleries runs beside each service, and is killed with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

from app.bootstrap.storage import GALLERY_FILE
from app.storage.cipher import AesGcmCipher, parse_keys
from tests.support.answers import answered
from tests.support.api import Api
from tests.support.commands import encryption_key, eventually, outputs_of
from tests.support.postgres import PostgresServer
from tests.support.repository import FileRepository
from tests.support.server import Server

from .re_embedding import ReEmbedder

PATIENCE = 60.0


class Service:
    """A service that is killed. Without the address of a database it has a SQLite file."""

    def __init__(self, folder: Path, random: Random, *, key: str = "", database: str = "") -> None:
        self._data_dir, self._random = folder / "data", random
        self._cipher = AesGcmCipher(parse_keys(key)) if key else None
        self._address: Path | str = database or self._data_dir / GALLERY_FILE
        given = {"LIKENESS_ENCRYPTION_KEY": key, "LIKENESS_DATABASE": database}
        self._settings = {name: value for name, value in given.items() if value}
        self._settings |= {"LIKENESS_RATE_LIMIT": "0", "LIKENESS_KEEP_CROPS": "on"}
        self._key = key
        self.start()

    def start(self) -> None:
        self.server = Server(self._data_dir, **self._settings)
        self.server.start()
        with Api.of(self.server) as api:
            self.model = str(answered(api.http.get("/models"))["models"][0]["digest"])
        self._re_embedder = ReEmbedder(self._address, self.model, self._key)

    def re_embed(self, gallery: str) -> Iterator[None]:
        yield from self._re_embedder.re_embed(gallery)

    def kill(self) -> None:
        self.server.process.kill()
        self._re_embedder.kill()
        self.server.kill()

    def recover(self) -> None:
        """Start it again; now and then it is killed once more before it is ready."""
        if self._random.random() < 0.25:
            self.server = Server(self._data_dir, **self._settings).launch()
            eventually(self.server.is_ready, within=self._random.uniform(0.5, 3))
            self.server.kill()
        self.start()

    def is_settled(self) -> bool:
        """Return whether the service answers, and nothing that was deleted is left."""
        with Api.of(self.server) as api:
            answer = api.http.get("/readyz")
            return answer.status_code == 200 and answer.json()["erasures_pending"] == 0

    def check(self) -> None:
        """Check with `likeness gallery check` and `likeness audit verify`."""
        commands = [(self._data_dir, ["gallery", "check"]), (self._data_dir, ["audit", "verify"])]
        checked, verified = outputs_of(*commands, **self._settings)
        assert checked == "no damage found\n"
        assert verified.startswith("whole: ")

    @contextmanager
    def repository(self) -> Iterator[FileRepository]:
        with closing(FileRepository(self._address, cipher=self._cipher)) as opened:
            yield opened

    def close(self) -> None:
        self._re_embedder.kill()
        if self.server.process.poll() is None:
            self.server.stop()


class ServiceOfKilledDatabase(Service):
    """The service goes on, and its PostgreSQL server is killed."""

    def __init__(self, folder: Path, random: Random, postgres: PostgresServer, *, key: str, database: str) -> None:
        self._postgres = postgres
        super().__init__(folder, random, key=key, database=database)

    def kill(self) -> None:
        self._postgres.kill()

    def recover(self) -> None:
        self._postgres.start()


@contextmanager
def killed(kind: str, folder: Path, random: Random, postgres: PostgresServer | None) -> Iterator[Service]:
    if postgres is None:
        service = Service(folder, random, key=encryption_key() if "encrypted" in kind else "")
        with closing(service):
            yield service
        return
    with postgres.database() as url:
        key = encryption_key()
        if kind == "postgresql":
            service = Service(folder, random, key=key, database=url)
        else:
            service = ServiceOfKilledDatabase(folder, random, postgres, key=key, database=url)
        with closing(service):
            yield service
