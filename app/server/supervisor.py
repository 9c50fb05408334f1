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
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from types import FrameType
from typing import Any

from app.concurrency.machine import usable_cores
from app.domain.errors import StartError
from app.observability import multiprocess
from app.server.backoff import Backoff
from app.server.protocol import ConnectionLimits
from app.server.server import DRAIN_SECONDS, bind
from app.server.worker import WorkerSpec, run_worker
from app.server.worker_process import WorkerProcess

log = logging.getLogger(__name__)

_SPAWN = multiprocessing.get_context("spawn")
_TICK_SECONDS = 0.5
_MAX_SILENT_TICKS = 120  # ticks and not seconds: while the machine sleeps, workers cannot report
_STOP_SECONDS = DRAIN_SECONDS + 1.2  # beyond the delay; a worker ends by itself before that, and all within ten
_RETIRE_SECONDS = 300.0  # for a client that does not read its answer; every other end is bounded by a timeout
_MAX_FAILED_STARTS = 5  # in a row, while no worker serves
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")


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
    """Serve until a signal. Raises StartError where the port cannot be bound or no worker can start."""
    with bind(host, port) as listener, multiprocess.metrics_folder() as metrics, _thread_limits(workers):
        spec = WorkerSpec(make_app, listener, limits, trusted_proxies)
        Supervisor(spec, workers, metrics, stop_timeout=shutdown_delay + _STOP_SECONDS).run()


class Supervisor:
    """
    Replaces a worker that dies or whose event loop stands still. While starts fail, the others go on serving, and the
    next start is tried later and later; where none has ever served, or none serves any more and the start has failed
    five times in a row, it gives up. On SIGINT or SIGTERM the workers are told to stop; those that have not ended
    after `stop_timeout` seconds, or at a second signal, are killed. On SIGHUP each worker is replaced in turn.
    """

    def __init__(self, spec: WorkerSpec, count: int, metrics: Path, *, stop_timeout: float) -> None:
        self._spec, self._count, self._metrics, self._stop_timeout = spec, count, metrics, stop_timeout
        self._workers: list[WorkerProcess] = []
        self._to_replace: list[WorkerProcess] = []
        self._backoff = Backoff()
        self._has_served = False
        self._stopped_at: float | None = None
        self._failed = False

    def run(self) -> None:
        log.info("starting %d workers", self._count)
        with self._signal_handlers():
            for _ in range(self._count):
                self._start_worker()
            while self._workers or self._stopped_at is None:
                self._watch()
        if self._failed:
            raise StartError("a worker could not start; the log lines above say why")

    def _watch(self) -> None:
        ended = wait([worker.process.sentinel for worker in self._workers], _TICK_SECONDS)
        for worker in list(self._workers):
            if worker.read_status():
                self._has_served = True
                self._backoff.reset()
            if worker.process.sentinel in ended:
                self._on_end(worker)
        if self._stopped_at is None and self._is_hopeless():
            self._failed = True
            self._stop()
        if self._stopped_at is None:
            self._retire_next()
            self._start_missing()
        self._enforce_timeouts()

    def _start_worker(self) -> None:
        receiver, sender = _SPAWN.Pipe(duplex=False)
        process = _SPAWN.Process(target=run_worker, args=(self._spec, sender), name="likeness-worker", daemon=True)
        process.start()
        sender.close()  # so that the pipe ends with the worker
        self._workers.append(WorkerProcess(process, receiver))
        if self._stopped_at is not None:  # a signal came while the process was being started
            process.terminate()

    def _on_end(self, worker: WorkerProcess) -> None:
        process = worker.process
        process.join()  # the sentinel is ready a moment before the exit status
        self._workers.remove(worker)
        if worker in self._to_replace:
            self._to_replace.remove(worker)
        multiprocess.forget_process(self._metrics, process.pid or 0)
        worker.status_pipe.close()
        if self._stopped_at is not None or worker.retired_at is not None:
            return
        if worker.ready:
            log.warning("worker %s ended (%s); starting another", process.pid, process.exitcode)
        else:
            delay = self._backoff.fail()
            log.error("worker %s ended (%s) before it accepted requests", process.pid, process.exitcode)
            if self._has_served:
                log.info("the next start is in %g s", delay)

    def _is_hopeless(self) -> bool:
        if not self._has_served:
            return not self._workers
        return self._backoff.failures >= _MAX_FAILED_STARTS and not any(worker.ready for worker in self._workers)

    def _retire_next(self) -> None:
        """Retire the next of those to be replaced, once one more than needed is there."""
        if self._to_replace and len(self._workers) > self._count and all(each.in_service for each in self._workers):
            self._to_replace.pop(0).retire()

    def _start_missing(self) -> None:
        """Start what is missing, and one more while workers are to be replaced and none is retiring."""
        if not self._has_served or not self._backoff.is_over:
            return
        retiring = sum(worker.retired_at is not None for worker in self._workers)
        extra = bool(self._to_replace) and not retiring
        for _ in range(self._count + extra + retiring - len(self._workers)):
            self._start_worker()

    def _enforce_timeouts(self) -> None:
        now = time.monotonic()
        if self._stopped_at is not None:
            if now - self._stopped_at > self._stop_timeout:
                self._kill()
            return
        for worker in self._workers:
            if worker.ready and worker.silent_ticks > _MAX_SILENT_TICKS:
                log.error("worker %s does not respond; killing it", worker.process.pid)
                worker.process.kill()
            elif worker.retired_at is not None and now - worker.retired_at > _RETIRE_SECONDS:
                worker.process.terminate()

    def _stop(self) -> None:
        self._stopped_at = time.monotonic()
        for worker in self._workers:
            worker.process.terminate()

    def _kill(self) -> None:
        for worker in self._workers:
            worker.process.kill()

    @contextmanager
    def _signal_handlers(self) -> Iterator[None]:
        def end(_signal: int, _frame: FrameType | None) -> None:
            if self._stopped_at is None:
                self._stop()
            else:
                self._kill()

        def replace(_signal: int, _frame: FrameType | None) -> None:
            self._to_replace = [worker for worker in self._workers if worker.retired_at is None]

        handlers = {signal.SIGINT: end, signal.SIGTERM: end, signal.SIGHUP: replace}
        previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


@contextmanager
def _thread_limits(workers: int) -> Iterator[None]:
    """Divide the cores among the workers' native thread pools (OpenCV, BLAS, OpenMP), unless the environment does."""
    share = str(max(1, usable_cores() // workers))
    added = [name for name in _THREAD_VARIABLES if name not in os.environ]
    os.environ.update(dict.fromkeys(added, share))
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
