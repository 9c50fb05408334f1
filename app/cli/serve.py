"""`likeness serve`: the service, in this process or in several."""

from __future__ import annotations

import logging
import os
from functools import partial
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from fastapi import FastAPI

from app.bootstrap.models import open_models
from app.bootstrap.services import check_access
from app.bootstrap.storage import erasure_warning, open_repository
from app.cli.output import fail, flag_of, read_settings
from app.domain.errors import LikenessError, StartError
from app.main import create_app
from app.observability import logging as service_logging
from app.server import server, supervisor
from app.server.protocol import ConnectionLimits
from app.settings import Settings, unknown_variables

log = logging.getLogger(__name__)


def _flag(name: str) -> Any:
    """Return the flag of a setting, described by the setting itself; its value stays text, which Settings checks."""
    field = Settings.model_fields[name]
    help_text = (field.description or "").replace("`", "")
    if not field.default_factory:
        help_text += f" Default: {field.default}."
    return typer.Option(flag_of(name), help=help_text, metavar=_metavar(field.annotation), show_default=False)


def _metavar(annotation: Any) -> str:
    choices = get_args(annotation)
    return "|".join(choices) if choices else {int: "NUMBER", Path: "DIR"}.get(annotation, "TEXT")


def serve(
    host: Annotated[str | None, _flag("host")] = None,
    port: Annotated[str | None, _flag("port")] = None,
    workers: Annotated[str | None, _flag("workers")] = None,
    data_dir: Annotated[str | None, _flag("data_dir")] = None,
    model: Annotated[str | None, _flag("model")] = None,
    models_dir: Annotated[str | None, _flag("models_dir")] = None,
    provider: Annotated[str | None, _flag("provider")] = None,
    log_format: Annotated[str | None, _flag("log_format")] = None,
    log_level: Annotated[str | None, _flag("log_level")] = None,
) -> None:
    """
    Serve HTTP.

    Each flag is also an environment variable (LIKENESS_PORT for --port) and may
    stand in a file .env. A flag wins over the environment, the environment over
    the file. docs/operations/settings.md lists the settings without a flag.
    """
    given = {name: value for name, value in locals().items() if value is not None}
    try:
        settings = read_settings(given)
        application, warning = _checked_application(settings)
    except LikenessError as error:
        fail(str(error))
    service_logging.configure_logging(settings.log_format, settings.log_level)
    for line in filter(None, [warning, erasure_warning(settings), *unknown_variables(os.environ)]):
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
    service_logging.configure_logging(settings.log_format, settings.log_level, worker=os.getpid())
    return create_app(settings)


def _checked_application(settings: Settings) -> tuple[FastAPI, str | None]:
    """
    Return the application and a warning, or None.

    Raises StartError for whatever would stop the start, so that it is told in a sentence and not as the server's
    traceback.
    """
    warning, models = check_access(settings), open_models(settings)
    with open_repository(settings) as repository:
        repository.require_all_keys()
    return create_app(settings, models if settings.workers == 1 else None), warning  # each worker opens its own
