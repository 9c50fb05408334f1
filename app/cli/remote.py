"""Commands with `--url` ask a running service instead of opening the models and the gallery in this process."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from app.cli.output import CommandError, Result, finish
from app.cli.service_option import Remote
from app.client import Client, Problem


def run_remote(as_json: bool, service: Remote, work: Callable[[Client], Result]) -> None:  # noqa: FBT001
    """Do `work` with a client of the service, print what it returns, and exit."""
    finish(as_json, lambda: _ask(service, work))


def _ask(service: Remote, work: Callable[[Client], Result]) -> Result:
    try:
        with Client(service.url, key=service.key) as client:
            return work(client)
    except Problem as error:
        detail = f"{error.image}: {error.detail}" if error.image else error.detail
        raise CommandError(detail, error.document) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CommandError(f"{service.url} gave no answer: {error}") from error
