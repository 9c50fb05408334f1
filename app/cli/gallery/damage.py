"""`likeness gallery check` and `repair`: rows that cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from app.cli.gallery.opening import with_repository
from app.cli.gallery.results import damage_documents, erased
from app.cli.keys import operator
from app.cli.output import ERROR, SUCCESS, AsJson, CommandError, Result, run
from app.cli.progress import waiting
from app.gallery.records import DamagedRow
from app.gallery.repository import GalleryRepository


def check(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Look for damage with SQLite's own check, and by reading every row. Exit 0 if there is none, 2 if there is."""

    def work(repository: GalleryRepository) -> Result:
        with waiting("checking"):
            damage = repository.check_integrity()
        text = "\n".join(map(str, damage)) or "no damage found"
        return ERROR if damage else SUCCESS, {"ok": not damage, "damage": damage_documents(damage)}, text

    run(as_json, with_repository(work))


def repair(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Remove damaged faces and subjects for good, empty damaged metadata and consent. Asks first, says what it did."""

    def work(repository: GalleryRepository) -> Result:
        with waiting("checking"):
            damage = repository.check_integrity()
        if damage and not yes:
            _confirm(damage, as_json=as_json)
        removed = repository.repair(damage, operator()) if damage else []
        lines = [f"{'emptied' if row.kind in ('metadata', 'consent') else 'removed'}: {row}" for row in removed]
        document = {"ok": True, "removed": damage_documents(removed)}
        return erased(repository.pending_erasures(), document, "\n".join(lines) or "no damage found")

    run(as_json, with_repository(work))


def _confirm(damage: Sequence[DamagedRow], *, as_json: bool) -> None:
    """Raises CommandError unless the person at the terminal agrees."""
    if as_json:
        raise CommandError("expected --yes with --json: nobody can be asked for confirmation")
    for row in damage:
        typer.echo(row, err=True)
    try:
        agreed = typer.confirm(f"Remove these {len(damage)} damaged rows for good?", err=True)
    except typer.Abort:  # the input ended
        agreed = False
    if not agreed:
        raise CommandError("nothing was removed")
