"""`likeness gallery list|export|import|check|rebuild`: the records, without a server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from app.api.responses import GalleryOut
from app.cli.keys import operator
from app.cli.output import ERROR, SUCCESS, AsJson, CommandError, run
from app.gallery import upkeep
from app.gallery.repository import GalleryRepository
from app.settings import Settings
from app.wiring import DEFAULT_GALLERY, open_cipher, open_database, open_records

commands = typer.Typer(no_args_is_help=True, help="List, export, import, check and rebuild galleries.")
GallerySearch = Annotated[str, typer.Option(help="Which gallery.")]


@commands.command("list")
def list_(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Every gallery, with its subjects and faces."""

    def ask(records: GalleryRepository) -> tuple[int, dict[str, Any], str]:
        found = [GalleryOut.of(gallery).model_dump() for gallery in records.galleries()]
        lines = [f"{each['id']}: {each['subjects']} subjects, {each['faces']} faces" for each in found]
        return SUCCESS, {"galleries": found}, "\n".join(lines)

    run(as_json, _with_records(ask))


@commands.command("export")
def export_(
    file: Annotated[Path, typer.Argument(help="A file to write: JSON lines.")],
    gallery: GallerySearch = DEFAULT_GALLERY,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Write a gallery, its metadata and vectors, to FILE. Those are biometric data: keep it safe."""

    def ask(records: GalleryRepository) -> tuple[int, dict[str, Any], str]:
        faces = exchange.export_gallery(records, gallery, file)
        records.note(operator(), "gallery.export", gallery, faces=faces)
        return SUCCESS, {"gallery": gallery, "faces": faces}, f"{faces} faces of {gallery!r} written to {file}"

    run(as_json, _with_records(ask))


@commands.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="What `export` wrote.")],
    gallery: GallerySearch = DEFAULT_GALLERY,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Add what FILE holds to a gallery; a face that is there already is left alone, so it may be run again."""

    def ask(records: GalleryRepository) -> tuple[int, dict[str, Any], str]:
        try:
            faces = exchange.import_gallery(records, gallery, file, operator())
        except ValueError as error:
            raise CommandError(str(error)) from error
        return SUCCESS, {"gallery": gallery, "faces": faces}, f"{faces} faces added to {gallery!r}"

    run(as_json, _with_records(ask))


@commands.command()
def check(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Look for damage: the database's own check, and every vector's length."""

    def ask(records: GalleryRepository) -> tuple[int, dict[str, Any], str]:
        found = records.damage()
        return ERROR if found else SUCCESS, {"ok": not found, "damage": found}, "\n".join(found) or "no damage found"

    run(as_json, _with_records(ask))


@commands.command()
def rebuild(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Write the database anew, without the room that deleted faces left. Indexes are rebuilt at the next start."""

    def ask(records: GalleryRepository) -> tuple[int, dict[str, Any], str]:
        records.rebuild()
        return SUCCESS, {"ok": True}, "rebuilt"

    run(as_json, _with_records(ask))


@commands.command()
def rotate(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Seal everything with the first of the encryption keys given, also a gallery that was in clear until now."""

    async def work(settings: Settings) -> tuple[int, dict[str, Any], str]:
        cipher = open_cipher(settings)
        if cipher is None:
            raise CommandError("want a key: LIKENESS_ENCRYPTION_KEY or LIKENESS_ENCRYPTION_KEY_FILE")
        with open_database(settings) as database:
            faces = upkeep.rotate(database, cipher, operator())
        return SUCCESS, {"ok": True, "faces": faces}, f"{faces} faces sealed with the first key"

    run(as_json, work)


def _with_records(
    ask: Callable[[GalleryRepository], tuple[int, dict[str, Any], str]],
) -> Callable[[Settings], Awaitable[tuple[int, dict[str, Any], str]]]:
    async def work(settings: Settings) -> tuple[int, dict[str, Any], str]:
        with open_records(settings) as records:
            return ask(records)

    return work
