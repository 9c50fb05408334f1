"""`likeness keys create|list|revoke`. A running service notices at its next request."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Annotated, Any

import typer

from app.access.api_keys import Key, KeyStore
from app.cli.output import SUCCESS, AsJson, CommandError, run
from app.domain.clock import now, parse_duration
from app.domain.identity import Actor, Scope
from app.settings import Settings
from app.wiring import open_keys, require_gallery_file

commands = typer.Typer(no_args_is_help=True, help="Make, list and revoke keys for the service.")
SCOPES = ", ".join(Scope)


@commands.command()
def create(
    scopes: Annotated[str, typer.Option(help=f"What it is for, separated by commas: {SCOPES}; admin is everything.")],
    galleries: Annotated[str | None, typer.Option(help="Only these galleries, separated by commas.")] = None,
    expires: Annotated[str | None, typer.Option(help="How long it holds: 90d, 12h, 30m.")] = None,
    name: Annotated[str, typer.Option(help="Whose it is, for `list`.")] = "",
    rate: Annotated[int | None, typer.Option(min=0, help="Requests a second, instead of the service's limit.")] = None,
    concurrent: Annotated[int | None, typer.Option(min=0, help="Requests at once, instead of the limit.")] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Make a key and print it: it is shown this once, only its hash is kept."""

    def ask(keys: KeyStore) -> tuple[int, dict[str, Any], str]:
        key, text = keys.create(
            _scopes(scopes),
            name=name,
            galleries=None if galleries is None else _listed("galleries", galleries),
            lifetime=_lifetime(expires),
            rate=rate,
            concurrent=concurrent,
            by=operator(),
        )
        return SUCCESS, {"key": text, **_document(key)}, text

    run(as_json, _with_keys(ask, there=False))


@commands.command("list")
def list_(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Every key there ever was, without its secret."""

    def ask(keys: KeyStore) -> tuple[int, dict[str, Any], str]:
        found = [_document(key) for key in keys.all()]
        return SUCCESS, {"keys": found}, "\n".join(map(_line, found)) or "no keys"

    run(as_json, _with_keys(ask))


@commands.command()
def revoke(
    key: Annotated[str, typer.Argument(help="The id of a key, as `list` prints it (or the key itself).")],
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """End a key at once and for good."""

    def ask(keys: KeyStore) -> tuple[int, dict[str, Any], str]:
        identifier = key.split("_")[1] if key.startswith("lk_") else key
        keys.revoke(identifier, operator())
        return SUCCESS, {"revoked": identifier}, f"{identifier} is revoked"

    run(as_json, _with_keys(ask))


def operator() -> Actor:
    """Who is at the terminal, for the audit log."""
    try:
        return Actor(f"cli:{getpass.getuser()}")
    except (KeyError, OSError):  # a container's user may have no name
        return Actor("cli")


def _with_keys(ask: Callable[[KeyStore], tuple[int, dict[str, Any], str]], *, there: bool = True) -> Any:
    """`there`: where there is no gallery yet, that is an error."""

    async def work(settings: Settings) -> tuple[int, dict[str, Any], str]:
        if there:
            require_gallery_file(settings)
        with open_keys(settings) as keys:
            return ask(keys)

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


def _line(key: dict[str, Any]) -> str:
    galleries = "all galleries" if key["galleries"] is None else f"galleries {', '.join(key['galleries'])}"
    until = f"until {key['expires_at']}" if key["expires_at"] else "without end"
    state = "valid" if key["valid"] else "revoked" if key["revoked_at"] else "expired"
    return f"{key['id']}  {state}  {','.join(key['scopes'])}  {galleries}  {until}  {key['name']}".rstrip()


def _scopes(text: str) -> Sequence[Scope]:
    try:
        return [Scope(each) for each in _listed("scopes", text)]
    except ValueError:
        raise CommandError(f"want scopes out of {SCOPES}, got {text}") from None


def _listed(name: str, text: str) -> list[str]:
    found = list(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))
    if not found:
        raise CommandError(f"want {name}, separated by commas")
    return found


def _lifetime(text: str | None) -> timedelta | None:
    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise CommandError(str(error)) from error
