"""`python -m tests.unit.server.staffed HOW PORT FOLDER`: two workers whose application names the one that answers."""

import asyncio
import logging
import os
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from starlette.types import Receive, Scope, Send

from app.domain.errors import StartError
from app.server import backoff, supervisor
from app.server.protocol import ConnectionLimits
from tests.unit.server.listening import HOST, Echo

LIMITS = ConnectionLimits(max_connections=50, max_head_bytes=2048, head_timeout=5)


@dataclass
class Signed(Echo):
    """`/slow` takes a second, `/stuck` holds the whole process, and does not hear a signal meanwhile."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            logging.info("asked for %s", scope["path"])
        await super().__call__(scope, receive, send)

    async def _answer(self, send: Send, document: dict[str, Any]) -> None:
        if document["path"] == "/slow":
            await asyncio.sleep(1)
        if document["path"] == "/stuck":
            time.sleep(30)  # noqa: ASYNC251 - that is the point
        await super()._answer(send, document | {"worker": os.getpid()})


@dataclass
class Unstartable(Signed):
    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "the networks do not run"})


def make(how: str, folder: Path) -> Echo:
    logging.basicConfig(level=logging.INFO)
    (folder / str(os.getpid())).touch()
    if how == "refused":
        raise StartError("no model in here")
    if how == "dead":
        os._exit(9)
    if how == "slow replacements" and len(list(folder.iterdir())) > 2:
        time.sleep(2)  # so that a test can kill one that is starting
    if how == "others fail" and not is_first(folder):
        return Unstartable()
    if how == "all fail later" and len(list(folder.iterdir())) > 2:
        return Unstartable()
    return Unstartable() if how == "unstartable" else Signed()


def is_first(folder: Path) -> bool:
    """Return whether no other worker has called this before."""
    try:
        folder.with_name("first").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def main() -> None:
    how, port, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    logging.basicConfig(level=logging.INFO)
    if how == "impatient":
        supervisor._STOP_SECONDS = 1
    if how in ("all fail later", "others fail"):
        backoff._FIRST_DELAY = 0.01
    if how == "attentive":
        supervisor._MAX_SILENT_TICKS = 6
    try:
        supervisor.serve(
            partial(make, how, folder),
            workers=2,
            host=HOST,
            port=port,
            limits=LIMITS,
            trusted_proxies=None,
            shutdown_delay=0,
        )
    except StartError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
