"""`likeness audit list|verify`: who did what to which subject."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any

import typer

from app.audit.log import AuditLog
from app.bootstrap.storage import open_database, require_gallery_file
from app.cli.output import ERROR, SUCCESS, AsJson, run
from app.settings import Settings

commands = typer.Typer(no_args_is_help=True, help="Read the audit log, and see whether it is whole.")


@commands.command("list")
def list_(
    gallery: Annotated[str | None, typer.Option(help="Only what was done to this gallery.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only what was done to this subject.")] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Every entry, oldest first: one JSON object a line."""

    def ask(log: AuditLog) -> tuple[int, dict[str, Any], str]:
        entries = [dict(entry) for entry in log.entries(gallery, subject)]
        lines = [json.dumps(entry, ensure_ascii=False) for entry in entries]
        return SUCCESS, {"entries": entries}, "\n".join(lines)

    run(as_json, _with_log(ask))


@commands.command()
def verify(
    head: Annotated[str | None, typer.Option(help="A head noted earlier, which must be part of the log.")] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Walk the chain of hashes. Exit 0 where it is whole, 2 where an entry was changed, removed or put in."""

    def ask(log: AuditLog) -> tuple[int, dict[str, Any], str]:
        verdict = log.verify(head)
        document = {"ok": verdict.fault is None, "entries": verdict.entries, "head": verdict.head}
        if verdict.fault:
            return ERROR, {**document, "fault": verdict.fault}, f"broken: {verdict.fault}"
        return SUCCESS, document, f"whole: {verdict.entries} entries, head {verdict.head}"

    run(as_json, _with_log(ask))


def _with_log(ask: Callable[[AuditLog], tuple[int, dict[str, Any], str]]) -> Any:
    async def work(settings: Settings) -> tuple[int, dict[str, Any], str]:
        require_gallery_file(settings)
        with open_database(settings) as database:
            return ask(AuditLog(database))

    return work
