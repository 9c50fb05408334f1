"""A worker process: it serves the socket that the supervisor has bound, and reports to it through a pipe."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from app.domain.errors import LikenessError
from app.observability import multiprocess
from app.server.protocol import ConnectionLimits
from app.server.server import TICKS_PER_SECOND, Server, run

log = logging.getLogger(__name__)

RETIRE = signal.SIGUSR1
"""The supervisor's signal to a worker that another one has replaced. A terminal never sends it to all processes."""

_START_FAILED = 3  # uvicorn's exit status for it
_CLOSE = (b"connection", b"close")


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """Everything that a worker needs; pickled into its process."""

    make_app: Callable[[], Any]
    """Makes the application that `server.run` serves; called in the worker's process."""
    listener: socket.socket
    limits: ConnectionLimits
    trusted_proxies: str | None


class _WorkerServer(Server):
    """
    Stops at SIGTERM, and no sooner at a second one: systemd signals all processes, and so does the supervisor then.
    SIGINT, which a terminal's Ctrl-C sends to all processes, is left to the supervisor, and so is SIGHUP.

    At RETIRE it accepts no further connection and ends when the present ones have: each closes with its next answer
    or, when it is idle, by its timeout. No request is refused, since the other workers accept new connections.
    """

    def __init__(self, status_pipe: Connection, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._status_pipe, self._retiring = status_pipe, False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        signal.signal(RETIRE, self._retire)
        self._status_pipe.send("ready")

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS_PER_SECOND == 0:
            self._status_pipe.send("alive")
        if self._retiring:
            self._close_listeners()
            if not self.server_state.connections:
                self.should_exit = True
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, _frame: FrameType | None) -> None:
        if sig == signal.SIGTERM:
            self._lifecycle.stop()

    def _retire(self, _signal: int, _frame: FrameType | None) -> None:
        self._retiring = True

    def _close_listeners(self) -> None:
        for server in self.servers:
            server.close()
        if _CLOSE not in self.config.encoded_headers:
            self.config.encoded_headers.append(_CLOSE)
            self.server_state.default_headers.append(_CLOSE)  # which uvicorn renews only once a second


def run_worker(spec: WorkerSpec, status_pipe: Connection) -> None:
    """Serve until the supervisor says otherwise: the main function of a worker process."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_supervisor, name="supervisor-watch", daemon=True).start()
    try:
        app = spec.make_app()
    except LikenessError as error:
        log.error("%s", error)
        raise SystemExit(_START_FAILED) from error
    run(app, spec.listener, spec.limits, spec.trusted_proxies, make_server=partial(_WorkerServer, status_pipe))


def _end_with_supervisor() -> None:
    """Stop this worker when the supervisor was killed, so that the port does not stay in use."""
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        supervisor.join()
        log.warning("the supervisor is gone; stopping")
        os.kill(os.getpid(), signal.SIGTERM)
        multiprocess.remove_folder()
