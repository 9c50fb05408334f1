"""The options `--url` and `--key`, with which a command asks a running service."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated

import typer

COMMANDS = ("verify", "identify", "detect", "enroll", "cluster", "gallery", "watch")
"""The commands that can ask a service."""
Url = Annotated[
    str | None, typer.Option(show_default=False, help="Ask this service instead of models and gallery on this machine.")
]
Key = Annotated[str | None, typer.Option(envvar="LIKENESS_KEY", show_default=False, help="An API key of that service.")]


@dataclass(frozen=True, slots=True)
class Remote:
    url: str
    key: str | None


_remote: ContextVar[Remote | None] = ContextVar("remote", default=None)


def remote() -> Remote | None:
    """Return the service to ask, or None for a command that works in this process."""
    return _remote.get()


def remember(context: typer.Context, url: str | None, key: str | None) -> None:
    """Keep what the command line says for the command that follows. Raises BadParameter if it cannot ask a service."""
    if url is not None and context.invoked_subcommand not in COMMANDS:
        raise typer.BadParameter(f"expected one of {', '.join(COMMANDS)} with --url, got {context.invoked_subcommand}")
    _remote.set(Remote(url.rstrip("/"), key) if url else None)
