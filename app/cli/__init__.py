"""The `likeness` command (the same as `python -m app`)."""

from __future__ import annotations

import logging
import os
from functools import partial

import typer
from fastapi import FastAPI

from app import serving, supervision
from app.cli import audit, gallery, keys
from app.cli.cluster import cluster
from app.cli.doctor import doctor
from app.cli.enroll import enroll
from app.cli.output import fail, read_settings
from app.cli.photos import detect, identify, verify
from app.domain.errors import LikenessError, StartError
from app.gallery.gallery import Gallery
from app.main import create_app
from app.observability import logs
from app.serving import Bounds
from app.settings import Settings, unknown_variables
from app.wiring import check_access, open_models, open_records

log = logging.getLogger(__name__)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Are these two photos of one person? Who of the enrolled people is this?",
)
for command in (verify, identify, enroll, detect, cluster, doctor):
    app.command()(command)
for name, group in (("gallery", gallery), ("keys", keys), ("audit", audit)):
    app.add_typer(group.commands, name=name)


@app.command()
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
    bounds = Bounds(settings.max_connections, settings.max_header_bytes, settings.head_timeout)
    if settings.workers == 1:
        serving.serve(
            application,
            host=settings.host,
            port=settings.port,
            bounds=bounds,
            trusted_proxies=settings.trusted_proxies,
        )
    else:
        supervision.serve(
            partial(_worker_application, settings),
            workers=settings.workers,
            host=settings.host,
            port=settings.port,
            bounds=bounds,
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


def main() -> None:
    app()
