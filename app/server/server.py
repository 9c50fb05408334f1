"""
uvicorn's server with our protocol and a shutdown that load balancers can follow.

On SIGTERM uvicorn closes its port at once, so that neither /healthz nor /readyz can say that the service is stopping;
this one goes on listening until no request is in flight.
"""

from __future__ import annotations

import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn

from app.domain.errors import StartError
from app.server.descriptors import DescriptorWatch, raise_descriptor_limit
from app.server.native_stderr import redirect_native_stderr
from app.server.protocol import BoundedProtocol, ConnectionLimits
from app.server.shutdown import Lifecycle

log = logging.getLogger(__name__)

# Together they stay below the ten seconds that Docker leaves between SIGTERM and SIGKILL.
DRAIN_SECONDS = 8.0
_ABORT_SECONDS = 0.5  # for requests in flight after that to be answered with 503
_CANCEL_SECONDS = 1  # for uvicorn to cancel the tasks that remain even then

TICKS_PER_SECOND = 10  # of uvicorn's main loop
_THREAD_SWITCH_SECONDS = 0.0005  # how long a thread may keep Python from the event loop; a tenth of Python's default


class Server(uvicorn.Server):
    """
    Drains at the first signal (SIGINT, SIGTERM or SIGHUP) and ends when no request is in flight; a second signal ends
    it at once.
    """

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle) -> None:
        super().__init__(config)
        self._lifecycle, self._descriptors = lifecycle, DescriptorWatch()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for host, port, *_ in [listener.getsockname() for listener in sockets or ()]:
            log.info("Likeness is running on http://%s:%d", f"[{host}]" if ":" in host else host, port)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        with super().capture_signals(), _handling_hangup(self.handle_exit):
            yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._lifecycle.stopping:
            super().handle_exit(sig, frame)
        else:
            self._captured_signals.append(sig)
            self._lifecycle.stop()

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS_PER_SECOND == 0:
            self._descriptors.check()
        draining = self._lifecycle.seconds_draining()
        if draining is not None:
            if draining > DRAIN_SECONDS:
                self._lifecycle.abort()
            if self._lifecycle.idle or draining > DRAIN_SECONDS + _ABORT_SECONDS:
                self.should_exit = True
        return await super().on_tick(counter)


def serve(app: Any, *, host: str, port: int, limits: ConnectionLimits, trusted_proxies: str | None) -> None:
    """Serve until a signal; `app.state.lifecycle` is a Lifecycle. Raises StartError where it cannot listen."""
    with bind(host, port) as listener:
        run(app, listener, limits, trusted_proxies)


def run(
    app: Any,
    listener: socket.socket,
    limits: ConnectionLimits,
    trusted_proxies: str | None,
    make_server: Callable[[uvicorn.Config, Lifecycle], Server] = Server,
) -> None:
    """Serve until a signal, on a socket that is bound already."""

    def protocol(*args: Any, **kwargs: Any) -> BoundedProtocol:
        return BoundedProtocol(limits, app.state.metrics.problem, *args, **kwargs)

    config = uvicorn.Config(
        app,
        http=protocol,  # type: ignore[arg-type]  # uvicorn only calls it
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=trusted_proxies is not None,
        forwarded_allow_ips=trusted_proxies,
        timeout_graceful_shutdown=_CANCEL_SECONDS,
    )
    redirect_native_stderr()
    raise_descriptor_limit(limits.max_connections)
    sys.setswitchinterval(_THREAD_SWITCH_SECONDS)
    make_server(config, app.state.lifecycle).run([listener])


@contextmanager
def _handling_hangup(handler: Callable[[int, FrameType | None], None]) -> Generator[None, None, None]:
    """Call `handler` at SIGHUP, unless it is ignored: `nohup` does that, and the supervisor for its workers."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        yield
        return
    previous = signal.signal(signal.SIGHUP, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, previous)


def bind(host: str, port: int) -> socket.socket:
    """Bind the port; nobody can connect before the service has started and listens. Raises StartError."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, UnicodeError) as error:  # the latter for a name that no host can have
        listener.close()
        raise StartError(
            f"cannot listen on {host}, port {port}: {getattr(error, 'strerror', None) or error}"
        ) from error
    return listener
