"""`likeness migrate`: copy everything from the SQLite file in the data directory into PostgreSQL."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated, Literal

import typer
from rich.progress import SpinnerColumn

from app.audit.log import AuditLog
from app.bootstrap.storage import (
    GALLERY_FILE,
    open_cipher,
    open_database,
    open_postgresql,
    require_gallery_file,
    transfer_to_postgresql,
)
from app.cli.keys import operator
from app.cli.output import ERROR, SUCCESS, AsJson, CommandError, Result, run
from app.cli.progress import progress_bar
from app.gallery.repository import GalleryRepository
from app.settings import Settings


def migrate(
    to: Annotated[str, typer.Option(help="An empty database: postgresql://user@host/name.")],
    source: Annotated[
        Literal["sqlite"], typer.Option("--from", help="The file in LIKENESS_DATA_DIR, which stays as it is.")
    ] = "sqlite",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """
    Copy galleries, keys and the audit log from SQLite into PostgreSQL.

    Stop the service first. A copy that was interrupted goes on where it stopped. In the end all rows are compared,
    and the audit log is verified. Then start the service with LIKENESS_DATABASE.
    """

    async def work(settings: Settings) -> Result:
        if settings.database:
            raise CommandError(f"expected no LIKENESS_DATABASE: {source} is the file in LIKENESS_DATA_DIR")
        require_gallery_file(settings)
        with (
            open_database(settings) as database,
            progress_bar(SpinnerColumn()) as progress,
        ):
            bar = progress.add_task("copying")
            rows = transfer_to_postgresql(
                database, to, lambda table, done: progress.update(bar, description=f"{table}: {done} rows")
            )
            progress.update(bar, description="verifying the audit log")
            fault = _verify(to, settings)
        document = {"ok": fault is None, "rows": rows, "source": str(settings.data_dir / GALLERY_FILE)}
        if fault:
            return ERROR, {**document, "fault": fault}, f"{rows} rows copied, but the audit log is broken: {fault}"
        text = (
            f"{rows} rows copied and compared; the audit log is whole. {settings.data_dir / GALLERY_FILE} is unchanged"
        )
        return SUCCESS, document, text

    run(as_json, work)


def _verify(to: str, settings: Settings) -> str | None:
    """Return what is wrong with the copied log, and record the copy in it."""
    cipher = open_cipher(settings)
    with closing(open_postgresql(to, cipher)) as database:
        fault = AuditLog(database).verify().fault
        repository = GalleryRepository(database, cipher)
        repository.audit_event(operator(), "gallery.migrate", "", source="sqlite")
    return fault
