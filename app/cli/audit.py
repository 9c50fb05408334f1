"""`likeness audit list|head|export|verify|accept`: the audit log, which records who did what to which subject."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from app.audit.log import AuditLog
from app.bootstrap.storage import open_database, read_encryption_keys, require_gallery_file
from app.cli.backup import STREAM, new_file
from app.cli.keys import operator
from app.cli.output import ERROR, SUCCESS, AsJson, CommandError, Result, run
from app.cli.progress import waiting
from app.domain.clock import now
from app.settings import Settings
from app.storage.signing import InvalidSignature, SignedHead, sign_head, verify_signature

commands = typer.Typer(no_args_is_help=True, help="Read the audit log, and check that it is complete and unchanged.")
HASH = re.compile("[0-9a-f]{64}")


@commands.command("list")
def list_(
    gallery: Annotated[str | None, typer.Option(help="Only entries about this gallery.")] = None,
    subject: Annotated[str | None, typer.Option(help="Only entries about this subject.")] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Print every entry, oldest first, one JSON object a line."""

    def work(log: AuditLog, _: Settings) -> Result:
        entries = [dict(entry) for entry in log.entries(gallery, subject)]
        lines = [json.dumps(entry, ensure_ascii=False) for entry in entries]
        return SUCCESS, {"entries": entries}, "\n".join(lines)

    run(as_json, _with_log(work))


@commands.command()
def head(
    sign: Annotated[bool, typer.Option("--sign", help="Sign it with the gallery's encryption key.")] = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Print the number and the hash of the newest entry as JSON: keep it where nobody who can change the log can."""

    def work(log: AuditLog, settings: Settings) -> Result:
        newest = log.head()
        document: dict[str, Any] = {"seq": newest.seq, "hash": newest.hash, "at": now()}
        if sign:
            keys = read_encryption_keys(settings)
            if not keys:
                raise CommandError("expected LIKENESS_ENCRYPTION_KEY or LIKENESS_ENCRYPTION_KEY_FILE, got neither")
            document |= sign_head(document, keys[0])
        return SUCCESS, document, json.dumps(document)

    run(as_json, _with_log(work))


@commands.command()
def export(
    file: Annotated[Path, typer.Argument(help="A new file to write, or - for the standard output.")],
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Write the chain, a line of JSON an entry: its number, its text as it was hashed, and its hash."""

    def work(log: AuditLog, _: Settings) -> Result:
        with nullcontext(sys.stdout.buffer) if file == STREAM else new_file(file) as out:
            entries = _write_lines(out, log.lines())
        if file == STREAM:
            sys.stdout.flush()
            raise typer.Exit(SUCCESS)
        return SUCCESS, {"entries": entries}, f"{entries} entries written to {file}"

    run(as_json, _with_log(work))


@commands.command()
def verify(
    head: Annotated[
        str | None,
        typer.Option(help="A hash that `head` printed, or a file with its output, which must be in the log."),
    ] = None,
    public_key: Annotated[
        str | None, typer.Option(help="The public key of a signed head, if the gallery's key was changed since.")
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Check the chain, the rows and the schema. Exit 0 if all are intact, 2 if anything was changed behind the log."""

    def work(log: AuditLog, settings: Settings) -> Result:
        expected = head and _read_head(head, read_encryption_keys(settings), public_key)
        with waiting("verifying"):
            verdict = log.verify(expected)
        document = {"ok": verdict.fault is None, "entries": verdict.entries, "head": verdict.head}
        if verdict.fault:
            return ERROR, {**document, "fault": verdict.fault}, f"broken: {verdict.fault}"
        return SUCCESS, document, f"whole: {verdict.entries} entries, head {verdict.head}"

    run(as_json, _with_log(work))


@commands.command()
def accept(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Take the rows as they are for right, for example after a repair. The log keeps what `verify` found."""

    def work(log: AuditLog, _: Settings) -> Result:
        with waiting("verifying"):
            fault = log.verify().fault
        if fault and not yes:
            _confirm(fault, as_json=as_json)
        differences = log.accept(operator()) if fault else []
        return SUCCESS, {"ok": True, "accepted": differences}, "\n".join(differences) or "no row differs"

    run(as_json, _with_log(work))


def _confirm(fault: str, *, as_json: bool) -> None:
    """Raises CommandError unless the person at the terminal agrees."""
    if as_json:
        raise CommandError("expected --yes with --json: nobody can be asked for confirmation")
    typer.echo(fault, err=True)
    try:
        agreed = typer.confirm("Take the rows as they are now for right?", err=True)
    except typer.Abort:  # the input ended
        agreed = False
    if not agreed:
        raise CommandError("nothing was accepted")


def _read_head(text: str, keys: list[bytes], public_key: str | None) -> str:
    """Return the hash of a head. Raises CommandError if it is none, or its signature is wrong or by an unknown key."""
    if HASH.fullmatch(text):
        return text
    try:
        signed = SignedHead.parse(Path(text).read_text("utf-8"))
        verify_signature(signed, keys, public_key)
    except (OSError, UnicodeDecodeError, InvalidSignature) as error:
        raise CommandError(f"{text}: {error}") from error
    return signed.hash


def _write_lines(out: Any, lines: Iterable[str]) -> int:
    entries = 0
    for line in lines:
        out.write(f"{line}\n".encode())
        entries += 1
    return entries


def _with_log(work: Callable[[AuditLog, Settings], Result]) -> Any:
    async def open_and_work(settings: Settings) -> Result:
        require_gallery_file(settings)
        with open_database(settings) as database:
            return work(AuditLog(database), settings)

    return open_and_work
