"""A server that starts together with the service is waited for."""

import threading
from pathlib import Path

from app.bootstrap.storage import open_postgresql
from tests.support.postgres import PostgresServer


def test_a_server_that_is_still_starting_is_waited_for(
    postgres_server: PostgresServer, url: str, tmp_path: Path
) -> None:
    socket = postgres_server.folder / ".s.PGSQL.5432"
    starting = threading.Timer(0.5, (tmp_path / socket.name).symlink_to, [socket])
    starting.start()
    try:
        open_postgresql(url.replace(str(postgres_server.folder), str(tmp_path)), None).close()
    finally:
        starting.join()
