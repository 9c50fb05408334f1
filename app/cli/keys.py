"""`likeness keys create|list|revoke`. Changes apply to a running service from its next request on."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Annotated, Any

import typer

from app.access.api_keys import Key, KeyStore
from app.bootstrap.storage import open_keys, require_gallery_file
from app.cli.output import SUCCESS, AsJson, CommandError, Result, run
from app.cli.tables import table
from app.domain.clock import now, parse_duration
from app.domain.identity import Actor, Scope
from app.settings import Settings

commands = typer.Typer(no_args_is_help=True, help="Make, list and revoke keys for the service.")
SCOPES = ", ".join(Scope)
_HEAD = ("id", "state", "scopes", "galleries", "expires", "name")


@commands.command()
def create(
    scopes: Annotated[
        str, typer.Option(help=f"What the key allows, separated by commas: {SCOPES}; admin allows everything.")
    ],
    galleries: Annotated[
        str | None, typer.Option(help="Galleries that the key is limited to, separated by commas.")
    ] = None,
    expires: Annotated[str | None, typer.Option(help="How long the key is valid: 90d, 12h, 30m.")] = None,
    name: Annotated[str, typer.Option(help="A name that `list` shows, for example the owner.")] = "",
    rate: Annotated[
        int | None, typer.Option(min=0, help="Requests per second, instead of the limit in the settings.")
    ] = None,
    concurrent: Annotated[
        int | None, typer.Option(min=0, help="Simultaneous requests, instead of the limit in the settings.")
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Make a key and print it. It cannot be shown again: only its hash is stored."""

    def action(keys: KeyStore) -> Result:
        key, text = keys.create(
            _scopes(scopes),
            name=name,
            galleries=None if galleries is None else _split("galleries", galleries),
            lifetime=_lifetime(expires),
            rate=rate,
            concurrent=concurrent,
            by=operator(),
        )
        return SUCCESS, {"key": text, **_document(key)}, text

    run(as_json, _with_keys(action, require_gallery=False))


@commands.command("list")
def list_(as_json: AsJson = False) -> None:  # noqa: FBT002
    """List all keys without their secrets, including revoked and expired ones."""

    def action(keys: KeyStore) -> Result:
        documents = [_document(key) for key in keys.all()]
        return (
            SUCCESS,
            {"keys": documents},
            table(_HEAD, [_row(each) for each in documents]) if documents else "no keys",
        )

    run(as_json, _with_keys(action))


@commands.command()
def revoke(
    key: Annotated[str, typer.Argument(help="The id of the key, as `list` prints it, or the key itself.")],
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Revoke a key, at once and permanently."""

    def action(keys: KeyStore) -> Result:
        identifier = key.split("_")[1] if key.startswith("lk_") else key
        keys.revoke(identifier, operator())
        return SUCCESS, {"revoked": identifier}, f"{identifier} is revoked"

    run(as_json, _with_keys(action))


def operator() -> Actor:
    """Return the user at the terminal, for the audit log."""
    try:
        return Actor(f"cli:{getpass.getuser()}")
    except (KeyError, OSError):  # a container's user may have no name
        return Actor("cli")


def _with_keys(action: Callable[[KeyStore], Result], *, require_gallery: bool = True) -> Any:
    async def work(settings: Settings) -> Result:
        if require_gallery:
            require_gallery_file(settings)
        with open_keys(settings) as keys:
            return action(keys)

    return work


def _document(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": [scope.value for scope in key.scopes],
        "galleries": None if key.galleries is None else [*key.galleries],
        "rate": key.rate,
        "concurrent": key.concurrent,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "valid": key.is_active(now()),
    }


def _row(key: dict[str, Any]) -> Sequence[str]:
    galleries = "all" if key["galleries"] is None else ",".join(key["galleries"])
    state = "valid" if key["valid"] else "revoked" if key["revoked_at"] else "expired"
    return key["id"], state, ",".join(key["scopes"]), galleries, key["expires_at"] or "never", key["name"]


def _scopes(text: str) -> Sequence[Scope]:
    try:
        return [Scope(each) for each in _split("scopes", text)]
    except ValueError:
        raise CommandError(f"expected scopes out of {SCOPES}, got {text}") from None


def _split(name: str, text: str) -> list[str]:
    values = list(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))
    if not values:
        raise CommandError(f"expected {name} separated by commas, got {text!r}")
    return values


def _lifetime(text: str | None) -> timedelta | None:
    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise CommandError(str(error)) from error
