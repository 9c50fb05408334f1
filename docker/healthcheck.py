"""Exit 0 where the service in this container says that it is ready, else 1 with what it said instead."""

import os
import sys
from http.client import HTTPConnection, HTTPException  # asks no proxy, as urllib would

EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def asked() -> str | None:
    """Return what is wrong, or None."""
    host = os.environ["LIKENESS_HOST"]
    connection = HTTPConnection(EVERY_ADDRESS.get(host, host), int(os.environ["LIKENESS_PORT"]), timeout=3)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return None if answer.status == 200 else f"{answer.status} {answer.read().decode()}"
    except (OSError, HTTPException) as error:
        return f"no answer: {error}"


sys.exit(asked())
