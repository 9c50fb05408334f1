"""Wait for a PostgreSQL that is still starting, as it does when Compose or a machine starts both at once."""

from __future__ import annotations

import logging
import time

from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import PGconn, Ping

from app.storage.postgresql.errors import domain_errors

START_TIMEOUT = 30.0
"""Seconds; the first start, which makes the database, took 8 on a busy machine of two cores."""
_PAUSE = 0.25

log = logging.getLogger(__name__)


def wait_until_ready(url: str, seconds: float = START_TIMEOUT) -> None:
    """
    Return once the server takes connections, or after `seconds`: the error of the connection that follows says more.

    Asks as pg_isready does, without a password: a wrong one is not waited for. Raises ServiceError if `url` is none.
    """
    with domain_errors():
        address = make_conninfo(url, connect_timeout=conninfo_to_dict(url).get("connect_timeout", 3)).encode()
    deadline = time.monotonic() + seconds
    if _is_ready(address):
        return
    log.warning("PostgreSQL takes no connections yet: waiting for up to %.0f seconds", seconds)
    while not _is_ready(address) and time.monotonic() < deadline:
        time.sleep(_PAUSE)


def _is_ready(address: bytes) -> bool:
    return PGconn.ping(address) not in {Ping.REJECT, Ping.NO_RESPONSE}
