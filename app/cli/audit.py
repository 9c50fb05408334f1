"""`likeness audit list|verify`: the audit log, which records who did what to which subject."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any

import typer

from app.audit.log import AuditLog
from app.bootstrap.storage import open_database, require_gallery_file
from app.cli.output import ERROR, SUCCESS, AsJson, run
from app.settings import Settings

commands = typer.Typer(no_args_is_help=True, help="Read the audit log, and check that it is complete and unchanged.")


@commands.command("list")
def list_(
    gallery: Annotated[str | None, typer.Option(help="Only entries about this gallery.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only entries about this subject.")] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Print every entry, oldest first, one JSON object a line."""

    def work(log: AuditLog) -> tuple[int, dict[str, Any], str]:
        entries = [dict(entry) for entry in log.entries(gallery, subject)]
        lines = [json.dumps(entry, ensure_ascii=False) for entry in entries]
        return SUCCESS, {"entries": entries}, "\n".join(lines)

    run(as_json, _with_log(work))


@commands.command()
def verify(
    head: Annotated[str | None, typer.Option(help="A head printed earlier, which must be part of the log.")] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Check the chain of hashes. Exit 0 if it is intact, 2 if an entry was changed, removed or inserted."""

    def work(log: AuditLog) -> tuple[int, dict[str, Any], str]:
        verdict = log.verify(head)
        document = {"ok": verdict.fault is None, "entries": verdict.entries, "head": verdict.head}
        if verdict.fault:
            return ERROR, {**document, "fault": verdict.fault}, f"broken: {verdict.fault}"
        return SUCCESS, document, f"whole: {verdict.entries} entries, head {verdict.head}"

    run(as_json, _with_log(work))


def _with_log(work: Callable[[AuditLog], tuple[int, dict[str, Any], str]]) -> Any:
    async def open_and_work(settings: Settings) -> tuple[int, dict[str, Any], str]:
        require_gallery_file(settings)
        with open_database(settings) as database:
            return work(AuditLog(database))

    return open_and_work
