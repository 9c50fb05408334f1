"""
Several processes that serve one port, and this one, which only minds them.

uvicorn has a supervisor of its own; it cannot be used here. It makes plain uvicorn servers, which close their port at
once when they are told to stop; while it waits for a worker's answer or end it acts on no signal; it starts a worker
that dies while it warms up again and again; its workers outlive it when it is killed; and it ends well whatever
happened. What is right in it is kept: processes are spawned, not forked, since the networks have threads, and the port
is bound once, here.
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
from app.observability import shared
from app.serving import DRAIN_SECONDS, Bounds, Server, bound, run

log = logging.getLogger(__name__)

_SPAWN = multiprocessing.get_context("spawn")
_TICK_SECONDS = 0.5
_MOST_SILENT = 120  # ticks, not seconds: a machine that slept has not let its workers speak
_PATIENCE_SECONDS = DRAIN_SECONDS + 1.2  # beyond the delay: a worker ends by itself before, and all within ten
_TICKS_A_SECOND = 10  # of uvicorn's main loop
_CANNOT_START = 3  # as uvicorn's own
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker needs; it goes to its process as a pickle."""

    make: Callable[[], Any]
    """The application, as `serving.serve` wants it; called in the worker's own process."""
    listener: socket.socket
    bounds: Bounds
    trusted_proxies: str | None


@dataclass(slots=True, eq=False)
class _Worker:
    process: SpawnProcess
    told: Connection
    ready: bool = False
    """It takes requests, or did."""
    silent: int = 0
    """Looks since it was last heard."""

    def listen(self) -> None:
        self.silent += 1
        try:
            while self.told.poll():
                self.told.recv()
                self.ready, self.silent = True, 0
        except EOFError:  # it has ended
            pass


def serve(
    make: Callable[[], Any],
    *,
    workers: int,
    host: str,
    port: int,
    bounds: Bounds,
    trusted_proxies: str | None,
    shutdown_delay: float,
) -> None:
    """
    Until a signal. Raises StartError where the port cannot be had, or a worker does not get as far as taking requests.
    """
    with bound(host, port) as listener, shared.folder_for_all() as metrics, _divided(os.cpu_count() or 1, workers):
        work = Work(make, listener, bounds, trusted_proxies)
        Supervisor(work, workers, metrics, patience=shutdown_delay + _PATIENCE_SECONDS).run()


class Supervisor:
    """
    Starts the workers and replaces one that dies, or whose event loop stands still; but one that dies before it took
    requests ends them all, since the next would die as well. At a signal the workers are told to stop; those that have
    not ended `patience` seconds later, or at a second signal, are killed.
    """

    def __init__(self, work: Work, workers: int, metrics: Path, *, patience: float) -> None:
        self._work, self._count, self._metrics, self._patience = work, workers, metrics, patience
        self._workers: list[_Worker] = []
        self._stopped_at: float | None = None
        self._failed = False

    def run(self) -> None:
        log.info("starting %d workers", self._count)
        with self._hearing():
            for _ in range(self._count):
                self._start()
            while self._workers:
                ended = wait([worker.process.sentinel for worker in self._workers], _TICK_SECONDS)
                for worker in list(self._workers):
                    worker.listen()
                    if worker.process.sentinel in ended:
                        self._ended(worker)
                self._lose_patience()
        if self._failed:
            raise StartError("a worker could not start; what it said of the reason stands above")

    def _start(self) -> None:
        mine, theirs = _SPAWN.Pipe(duplex=False)
        process = _SPAWN.Process(target=_worker, args=(self._work, theirs), name="likeness-worker", daemon=True)
        process.start()
        theirs.close()
        self._workers.append(_Worker(process, mine))
        if self._stopped_at is not None:  # the signal came while it was being made
            process.terminate()

    def _ended(self, worker: _Worker) -> None:
        process = worker.process
        process.join()  # it is about to be gone: the sentinel goes first
        self._workers.remove(worker)
        shared.forget(self._metrics, process.pid or 0)
        worker.told.close()
        if self._stopped_at is not None:
            return
        if worker.ready:
            log.warning("worker %s ended (%s), another takes its place", process.pid, process.exitcode)
            self._start()
        else:
            log.error("worker %s ended (%s) before it took requests", process.pid, process.exitcode)
            self._failed = True
            self._stop()

    def _lose_patience(self) -> None:
        if self._stopped_at is not None:
            if time.monotonic() - self._stopped_at > self._patience:
                self._kill()
            return
        for worker in self._workers:
            if worker.ready and worker.silent > _MOST_SILENT:
                log.error("worker %s does not answer, and is killed", worker.process.pid)
                worker.process.kill()

    def _stop(self) -> None:
        self._stopped_at = time.monotonic()
        for worker in self._workers:
            worker.process.terminate()

    def _kill(self) -> None:
        for worker in self._workers:
            worker.process.kill()

    @contextmanager
    def _hearing(self) -> Iterator[None]:
        def hear(_signal: int, _frame: FrameType | None) -> None:
            if self._stopped_at is None:
                self._stop()
            else:
                self._kill()

        before = {each: signal.signal(each, hear) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


class _WorkersServer(Server):
    """
    Stops at SIGTERM, and at a second one no sooner: systemd sends one to all processes, and the supervisor, which hears
    it too, another. A terminal's Ctrl-C, which all hear, is left to the supervisor.
    """

    def __init__(self, told: Connection, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._told = told

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._told.send("ready")

    async def on_tick(self, counter: int) -> bool:
        if counter % _TICKS_A_SECOND == 0:
            self._told.send("alive")
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, _frame: FrameType | None) -> None:
        if sig == signal.SIGTERM:
            self._lifecycle.stop()


def _worker(work: Work, told: Connection) -> None:
    """The life of a worker's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    try:
        app = work.make()
    except LikenessError as error:
        log.error("%s", error)
        raise SystemExit(_CANNOT_START) from error
    run(app, work.listener, work.bounds, work.trusted_proxies, server=partial(_WorkersServer, told))


def _end_with_parent() -> None:
    """A supervisor that was killed told nobody: the port must not stay taken, nor go on being served."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        log.warning("the supervisor is gone")
        os.kill(os.getpid(), signal.SIGTERM)
        shared.discard()


@contextmanager
def _divided(cores: int, workers: int) -> Iterator[None]:
    """Libraries with threads of their own (OpenCV, BLAS, OpenMP) take a share of the cores, unless told otherwise."""
    missing = [name for name in _THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(missing, str(max(1, cores // workers))))
    try:
        yield
    finally:
        for name in missing:
            del os.environ[name]
