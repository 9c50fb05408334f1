"""
The file descriptors of the process: enough of them for all connections, and a log line when none is left.

uvloop closes connections for which no descriptor is left without a word, so that nothing would tell the operator.
"""

from __future__ import annotations

import logging
import os
import resource
import time

from app.server.native_stderr import STDERR

log = logging.getLogger(__name__)

_BESIDE_CONNECTIONS = 128  # database, log, pipes and libraries take about 60
_WARN_EVERY = 60.0  # seconds


def raise_descriptor_limit(max_connections: int) -> None:
    """Raise the soft limit as far as `max_connections` need and the hard limit allows; warn if that is too few."""
    needed = max_connections + _BESIDE_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft < needed:
            log.warning(
                "the process may open %d files, and LIKENESS_MAX_CONNECTIONS=%d needs %d: raise `ulimit -n`",
                *(soft, max_connections, needed),
            )


class DescriptorWatch:
    def __init__(self) -> None:
        self._warned_at = -_WARN_EVERY

    def check(self) -> None:
        """Log an error if no descriptor is left, once a minute while that lasts."""
        try:
            os.close(os.dup(STDERR))
        except OSError as error:
            if time.monotonic() - self._warned_at >= _WARN_EVERY:
                self._warned_at = time.monotonic()
                log.error(
                    "no file descriptor is left, new connections are closed (%s): raise `ulimit -n` or lower "
                    "LIKENESS_MAX_CONNECTIONS",
                    error.strerror,
                )
