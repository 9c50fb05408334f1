"""Commands with `--url` ask a running service instead of opening the models and the gallery in this process."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from app.cli.output import CommandError, Result, finish, with_hints
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
        raise CommandError(with_hints(detail, error), error.document) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CommandError(with_hints(f"{service.url} gave no answer: {error}", error)) from error
    except ValueError as error:
        said = f"expected an answer of Likeness from {service.url}, got {str(error).splitlines()[0]}"
        raise CommandError(with_hints(said, error)) from error
