"""
The `likeness` command (the same as `python -m app`).

A command's module is imported when it is run: the networks' libraries and FastAPI take half a second, and who asks for
help, or mistypes, needs none of them.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

from app import __version__
from app.cli.service_option import Key, Url, remember
from app.storage.freed_memory import restart_without_thread_caches

COMMANDS = {
    "verify": ("app.cli.photos:verify", "Are these two photos of one person? Exit 0 for a match, 1 for none."),
    "identify": ("app.cli.photos:identify", "Who of the enrolled people is this? Exit 0 for a candidate, 1 for none."),
    "enroll": ("app.cli.enroll:enroll", "Enrol every photo below DIR, each folder in it being one subject."),
    "detect": ("app.cli.photos:detect", "Every face of a photo. Exit 0 if there is one, 1 if there is none."),
    "watch": ("app.cli.watch:watch", "Who is seen in a video? Prints JSON lines."),
    "cluster": ("app.cli.cluster:cluster", "Group photos by person. Exit 0, or 2 if no photo has a face."),
    "doctor": ("app.cli.doctor:doctor", "Check the installation. Exit 0 if every check passes, 2 otherwise."),
    "serve": ("app.cli.serve:serve", "Serve HTTP."),
    "gallery": ("app.cli.gallery:commands", "List, export, import, check, repair and rebuild galleries."),
    "models": (
        "app.cli.models:commands",
        "List the models, fetch public ones, and choose the one that serves.",
    ),
    "backup": ("app.cli.backup:backup", "Write galleries, keys and the audit log to FILE, also while they are served."),
    "restore": (
        "app.cli.backup:restore",
        "Put the backup FILE into an empty LIKENESS_DATA_DIR, and check it.",
    ),
    "migrate": ("app.cli.migrate:migrate", "Copy galleries, keys and the audit log from SQLite into PostgreSQL."),
    "keys": ("app.cli.keys:commands", "Make, list and revoke keys for the service."),
    "audit": ("app.cli.audit:commands", "Read the audit log, and check that it is complete and unchanged."),
}
"""The module and function of each command, and the first words of its own help."""


class Commands(TyperGroup):
    """List commands without importing their modules; import the one that runs."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, _, rest = super().resolve_command(ctx, args)
        return name, imported(str(name)), rest

    def main(self, *args: Any, **options: Any) -> Any:
        """With --json, also print a wrong argument as one JSON document."""
        given = args[0] if args else options.get("args")
        if "--json" not in (sys.argv[1:] if given is None else given):
            return super().main(*args, **options)
        try:
            sys.exit(super().main(*args, **{**options, "standalone_mode": False}))
        except TyperException as error:
            typer.echo(json.dumps({"code": "command_error", "detail": error.format_message()}, indent=2))
        except typer.Abort:
            typer.echo(json.dumps({"code": "interrupted", "detail": "interrupted"}, indent=2))
        sys.exit(2)


def imported(name: str) -> Any:
    module, _, attribute = COMMANDS[name][0].partition(":")
    found = getattr(import_module(module), attribute)
    one = typer.Typer(add_completion=False, callback=_nothing)
    if isinstance(found, typer.Typer):
        one.add_typer(found, name=name)
    else:
        one.command(name)(found)
    return cast("TyperGroup", get_command(one)).commands[name]


def _nothing() -> None:
    pass


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Are these two photos of one person? Who of the enrolled people is this?",
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001
    if wanted:
        typer.echo(f"likeness {__version__}")
        raise typer.Exit


@app.callback()
def likeness(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001, FBT002
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    url: Url = None,
    key: Key = None,
) -> None:
    remember(context, url, key)


for command, (_, about) in COMMANDS.items():
    app.command(command, help=about)(_nothing)


def main() -> None:
    """Run the command of the arguments; `serve` in a process whose freed memory can be overwritten."""
    if "serve" in sys.argv[1:]:
        restart_without_thread_caches()
    app()
