"""`likeness serve`: the service, in this process or in several."""

from __future__ import annotations

import logging
import os
from functools import partial

from fastapi import FastAPI

from app.cli.output import fail, read_settings
from app.domain.errors import LikenessError, StartError
from app.gallery.gallery import Gallery
from app.main import create_app
from app.observability import logs
from app.server import server, supervisor
from app.server.protocol import ConnectionLimits
from app.settings import Settings, unknown_variables
from app.wiring import check_access, open_models, open_records

log = logging.getLogger(__name__)


def serve() -> None:
    """Serve HTTP. Options are environment variables LIKENESS_*, or a file .env (see docs/OPERATIONS.md)."""
    try:
        settings = read_settings()
        application, warning = create_app(settings), _check(settings)
    except LikenessError as error:
        fail(str(error))
    logs.configure(settings.log_format, settings.log_level)
    for line in filter(None, [warning, *unknown_variables(os.environ)]):
        log.warning(line)
    try:
        _serve(application, settings)
    except StartError as error:
        fail(str(error))


def _serve(application: FastAPI, settings: Settings) -> None:
    limits = ConnectionLimits(settings.max_connections, settings.max_header_bytes, settings.head_timeout)
    if settings.workers == 1:
        server.serve(
            application,
            host=settings.host,
            port=settings.port,
            limits=limits,
            trusted_proxies=settings.trusted_proxies,
        )
    else:
        supervisor.serve(
            partial(_worker_application, settings),
            workers=settings.workers,
            host=settings.host,
            port=settings.port,
            limits=limits,
            trusted_proxies=settings.trusted_proxies,
            shutdown_delay=settings.shutdown_delay,
        )


def _worker_application(settings: Settings) -> FastAPI:
    """Made in a process of its own, whose log lines say so."""
    logs.configure(settings.log_format, settings.log_level, worker=os.getpid())
    return create_app(settings)


def _check(settings: Settings) -> str | None:
    """Whatever would stop the start, so that it is told in a sentence and not as the server's traceback."""
    warning = check_access(settings)
    open_models(settings)
    with open_records(settings) as records:
        Gallery(records).warm()
    return warning
