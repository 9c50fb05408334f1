"""
Several worker processes that serve one port, and the supervisor that starts, watches and stops them.

Neither uvicorn's supervisor nor gunicorn keeps what docs/operations/deploy.md promises: docs/architecture.md has the
measurements. Workers are spawned and not forked, since the networks have threads; the port is bound once, here.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType
from typing import Any

from app.domain.errors import LikenessError, StartError
from app.observability import multiprocess
from app.server.protocol import ConnectionLimits
from app.server.server import DRAIN_SECONDS, Server, bind, run

log = logging.getLogger(__name__)

_SPAWN = multiprocessing.get_context("spawn")
_TICK_SECONDS = 0.5
_MAX_SILENT_TICKS = 120  # ticks and not seconds: while the machine sleeps, workers cannot report
_STOP_SECONDS = DRAIN_SECONDS + 1.2  # beyond the delay; a worker ends by itself before that, and all within ten
_SERVER_TICKS_PER_SECOND = 10  # of uvicorn's main loop
_START_FAILED = 3  # uvicorn's exit status for it
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """Everything that a worker needs; pickled into its process."""

    make_app: Callable[[], Any]
    """Makes the application that `server.run` serves; called in the worker's process."""
    listener: socket.socket
    limits: ConnectionLimits
    trusted_proxies: str | None


@dataclass(slots=True, eq=False)
class _Worker:
    process: SpawnProcess
    status_pipe: Connection
    ready: bool = False
    """It accepts requests, or did."""
    silent_ticks: int = 0

    def read_status(self) -> None:
        self.silent_ticks += 1
        try:
            while self.status_pipe.poll():
                self.status_pipe.recv()
                self.ready, self.silent_ticks = True, 0
        except EOFError:  # the worker has ended
            pass


def serve(
    make_app: Callable[[], Any],
    *,
    workers: int,
    host: str,
    port: int,
    limits: ConnectionLimits,
    trusted_proxies: str | None,
    shutdown_delay: float,
) -> None:
    """Serve until a signal. Raises StartError where the port cannot be bound or a worker cannot start."""
    with bind(host, port) as listener, multiprocess.metrics_folder() as metrics, _thread_limits(workers):
        spec = WorkerSpec(make_app, listener, limits, trusted_proxies)
        Supervisor(spec, workers, metrics, stop_timeout=shutdown_delay + _STOP_SECONDS).run()


class Supervisor:
    """
    Replaces a worker that dies or whose event loop stands still. One that dies before it accepted requests ends them
    all, since the next one would die as well. On a signal the workers are told to stop; those that have not ended
    after `stop_timeout` seconds, or at a second signal, are killed.
    """

    def __init__(self, spec: WorkerSpec, count: int, metrics: Path, *, stop_timeout: float) -> None:
        self._spec, self._count, self._metrics, self._stop_timeout = spec, count, metrics, stop_timeout
        self._workers: list[_Worker] = []
        self._stopped_at: float | None = None
        self._failed = False

    def run(self) -> None:
        log.info("starting %d workers", self._count)
        with self._signal_handlers():
            for _ in range(self._count):
                self._start_worker()
            while self._workers:
                ended = wait([worker.process.sentinel for worker in self._workers], _TICK_SECONDS)
                for worker in list(self._workers):
                    worker.read_status()
                    if worker.process.sentinel in ended:
                        self._on_end(worker)
                self._enforce_timeouts()
        if self._failed:
            raise StartError("a worker could not start; the log lines above say why")

    def _start_worker(self) -> None:
        receiver, sender = _SPAWN.Pipe(duplex=False)
        process = _SPAWN.Process(target=_run_worker, args=(self._spec, sender), name="likeness-worker", daemon=True)
        process.start()
        sender.close()  # so that the pipe ends with the worker
        self._workers.append(_Worker(process, receiver))
        if self._stopped_at is not None:  # a signal came while the process was being started
            process.terminate()

    def _on_end(self, worker: _Worker) -> None:
        process = worker.process
        process.join()  # the sentinel is ready a moment before the exit status
        self._workers.remove(worker)
        multiprocess.forget_process(self._metrics, process.pid or 0)
        worker.status_pipe.close()
        if self._stopped_at is not None:
            return
        if worker.ready:
            log.warning("worker %s ended (%s); starting another", process.pid, process.exitcode)
            self._start_worker()
        else:
            log.error("worker %s ended (%s) before it accepted requests", process.pid, process.exitcode)
            self._failed = True
            self._stop()

    def _enforce_timeouts(self) -> None:
        if self._stopped_at is not None:
            if time.monotonic() - self._stopped_at > self._stop_timeout:
                self._kill()
            return
        for worker in self._workers:
            if worker.ready and worker.silent_ticks > _MAX_SILENT_TICKS:
                log.error("worker %s does not respond; killing it", worker.process.pid)
                worker.process.kill()

    def _stop(self) -> None:
        self._stopped_at = time.monotonic()
        for worker in self._workers:
            worker.process.terminate()

    def _kill(self) -> None:
        for worker in self._workers:
            worker.process.kill()

    @contextmanager
    def _signal_handlers(self) -> Iterator[None]:
        def handle(_signal: int, _frame: FrameType | None) -> None:
            if self._stopped_at is None:
                self._stop()
            else:
                self._kill()

        previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


class _WorkerServer(Server):
    """
    Stops at SIGTERM, and no sooner at a second one: systemd signals all processes, and so does the supervisor then.
    SIGINT, which a terminal's Ctrl-C sends to all processes, is left to the supervisor.
    """

    def __init__(self, status_pipe: Connection, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._status_pipe = status_pipe

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._status_pipe.send("ready")

    async def on_tick(self, counter: int) -> bool:
        if counter % _SERVER_TICKS_PER_SECOND == 0:
            self._status_pipe.send("alive")
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, _frame: FrameType | None) -> None:
        if sig == signal.SIGTERM:
            self._lifecycle.stop()


def _run_worker(spec: WorkerSpec, status_pipe: Connection) -> None:
    """The main function of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
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


@contextmanager
def _thread_limits(workers: int) -> Iterator[None]:
    """Divide the cores among the workers' native thread pools (OpenCV, BLAS, OpenMP), unless the environment does."""
    share = str(max(1, (os.cpu_count() or 1) // workers))
    added = [name for name in _THREAD_VARIABLES if name not in os.environ]
    os.environ.update(dict.fromkeys(added, share))
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
