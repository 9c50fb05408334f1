"""`likeness gallery list|export|import|check|repair|...`: galleries without a server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, TimeRemainingColumn

from app.api.responses import GalleryOut
from app.bootstrap.models import open_offsets
from app.bootstrap.search import is_external, open_external_search
from app.bootstrap.storage import DEFAULT_GALLERY, open_cipher, open_database, open_repository
from app.cli.keys import operator
from app.cli.output import ERROR, SUCCESS, AsJson, CommandError, read_settings, run
from app.cli.progress import progress_bar, waiting
from app.cli.re_embed import re_embed
from app.cli.remote import run_remote
from app.cli.service_option import remote
from app.cli.tables import short_digest, table
from app.client import calls
from app.domain.ports import NoThresholdOffsets, ThresholdOffsets
from app.gallery import import_export, key_rotation, recall
from app.gallery.records import DamagedRow
from app.gallery.repository import GalleryRepository
from app.images.crops import decode_crop
from app.settings import Settings

commands = typer.Typer(no_args_is_help=True, help="List, export, import, check, repair and rebuild galleries.")
commands.command("re-embed")(re_embed)
GalleryOption = Annotated[str, typer.Option(help="Which gallery.")]
Result: TypeAlias = tuple[int, dict[str, Any], str]
_JSON_NAMES = {"gallery_id": "gallery"}  # as in exported files


@commands.command("list")
def list_(as_json: AsJson = False) -> None:  # noqa: FBT002
    """List every gallery with its subjects and faces."""
    if service := remote():
        run_remote(as_json, service, lambda client: _listed(client.send(calls.galleries())["galleries"]))

    def work(repository: GalleryRepository) -> Result:
        return _listed([GalleryOut.of(gallery).model_dump() for gallery in repository.galleries()])

    run(as_json, _with_repository(work))


def _listed(galleries: Sequence[dict[str, Any]]) -> Result:
    rows = [(each["id"], each["subjects"], each["faces"], short_digest(each["model"])) for each in galleries]
    return SUCCESS, {"galleries": list(galleries)}, table(("gallery", "subjects", "faces", "model"), rows)


@commands.command("export")
def export_(
    file: Annotated[Path, typer.Argument(help="A file to write: JSON lines.")],
    gallery: GalleryOption = DEFAULT_GALLERY,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Write a gallery with its metadata, vectors and kept crops to FILE. Those are biometric data: protect it."""

    def work(repository: GalleryRepository) -> Result:
        with waiting("exporting"):
            faces, left_out = import_export.export_gallery(repository, gallery, file)
        repository.audit_event(operator(), "gallery.export", gallery, faces=faces)
        document = {"gallery": gallery, "faces": faces, "left_out": _documents(left_out)}
        text = f"{faces} faces of {gallery!r} written to {file}"
        return SUCCESS, document, "\n".join([text, *(f"damaged and left out: {row}" for row in left_out)])

    run(as_json, _with_repository(work, open_offsets))


@commands.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A file that `export` wrote.")],
    gallery: GalleryOption = DEFAULT_GALLERY,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """
    Add the subjects and faces of FILE to a gallery, except what it has already; may be run again after a break.

    Crops are taken only with LIKENESS_KEEP_CROPS=on.
    """

    def work(repository: GalleryRepository) -> Result:
        with progress_bar(BarColumn(), DownloadColumn(), TimeRemainingColumn()) as progress:
            bar = progress.add_task("importing", total=file.stat().st_size)
            try:
                faces = import_export.import_gallery(
                    repository,
                    gallery,
                    file,
                    operator(),
                    lambda read: progress.update(bar, completed=read),
                    decode_crop if read_settings().keep_crops else None,
                )
            except ValueError as error:
                raise CommandError(f"{error}; the lines of earlier transactions are kept") from error
        return SUCCESS, {"gallery": gallery, "faces": faces}, f"{faces} faces added to {gallery!r}"

    run(as_json, _with_repository(work))


@commands.command()
def check(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Look for damage with SQLite's own check, and by reading every row. Exit 0 if there is none, 2 if there is."""

    def work(repository: GalleryRepository) -> Result:
        with waiting("checking"):
            damage = repository.check_integrity()
        text = "\n".join(map(str, damage)) or "no damage found"
        return ERROR if damage else SUCCESS, {"ok": not damage, "damage": _documents(damage)}, text

    run(as_json, _with_repository(work))


@commands.command()
def repair(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Remove damaged faces and subjects for good, empty damaged metadata and consent. Asks first, says what it did."""

    def work(repository: GalleryRepository) -> Result:
        damage = repository.check_integrity()
        if damage and not yes:
            _confirm(damage, as_json=as_json)
        removed = repository.repair(damage, operator()) if damage else []
        lines = [f"{'emptied' if row.kind in ('metadata', 'consent') else 'removed'}: {row}" for row in removed]
        document = {"ok": True, "removed": _documents(removed)}
        return _erased(repository.pending_erasures(), document, "\n".join(lines) or "no damage found")

    run(as_json, _with_repository(work))


@commands.command()
def rebuild(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Write the database anew, without the space of deleted faces; with pgvector or Milvus, their index too."""

    def work(settings: Settings, repository: GalleryRepository) -> Result:
        with waiting("rebuilding"):
            repository.vacuum()
            if not is_external(settings):
                return _erased(repository.pending_erasures(), {"ok": True}, "rebuilt")
            with open_external_search(settings, repository) as search:
                faces = search.rebuild()
        document = {"ok": True, "indexed": faces}
        return _erased(repository.pending_erasures(), document, f"rebuilt, with an index of {faces} faces")

    run(as_json, _with_settings(work))


@commands.command()
def rekey(
    gallery: Annotated[str, typer.Argument(help="Which gallery.")],
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Give a gallery another secret transform, so that vectors stolen from it are of no use with it any more."""

    def work(repository: GalleryRepository) -> Result:
        with progress_bar(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as progress:
            bar = progress.add_task("re-keying", total=repository.gallery(gallery).subjects)
            done = repository.rekey_gallery(
                gallery, operator(), lambda subjects: progress.update(bar, completed=subjects)
            )
        document = {"gallery": gallery, "faces": done.faces}
        return _erased(repository.pending_erasures(), document, f"{done.faces} faces of {gallery!r} are re-keyed")

    run(as_json, _with_repository(work))


@commands.command("recall")
def recall_(
    gallery: Annotated[str, typer.Argument(help="Which gallery.")],
    sample: Annotated[int, typer.Option(min=1, help="Of how many faces.")] = 500,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Measure how much of the exact result LIKENESS_SEARCH=hnsw finds, or the index in pgvector or Milvus."""

    def work(settings: Settings, repository: GalleryRepository) -> Result:
        with waiting("searching"):
            if is_external(settings):
                with open_external_search(settings, repository) as search:
                    search.update_index(gallery)
                    search.build_graphs()
                    measured = recall.measure(repository, gallery, sample, external=search)
            else:
                measured = recall.measure(repository, gallery, sample)
        graphs = "" if measured.in_graphs is None else f", {measured.in_graphs:.0%} of which are in graphs"
        text = (
            f"{measured.nearest:.2%} of the nearest subjects and {measured.ten_nearest:.2%} of the ten nearest are "
            f"found ({measured.sample} searches among {measured.faces} faces{graphs})"
        )
        return SUCCESS, {"gallery": gallery, **asdict(measured)}, text

    run(as_json, _with_settings(work))


@commands.command()
def rotate(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Use the first of the encryption keys given from now on, also for a gallery that was not encrypted."""

    async def work(settings: Settings) -> Result:
        cipher = open_cipher(settings)
        if cipher is None:
            raise CommandError("expected LIKENESS_ENCRYPTION_KEY or LIKENESS_ENCRYPTION_KEY_FILE, got neither")
        with open_database(settings) as database:
            with waiting("encrypting"):
                faces = key_rotation.rotate(database, cipher, operator())
            pending = database.pending_erasures()
        return _erased(pending, {"ok": True, "faces": faces}, f"{faces} faces encrypted with the first key")

    run(as_json, work)


def _erased(pending: int, document: dict[str, Any], text: str) -> Result:
    """Return the result of a command that erases, which says whether another process still holds earlier values."""
    if not pending:
        return SUCCESS, document, text
    text += "\nearlier values stay on the disk until every other reader of the gallery has ended"
    return SUCCESS, {**document, "erasures_pending": pending}, text


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


def _documents(rows: Sequence[DamagedRow]) -> list[dict[str, str]]:
    return [{_JSON_NAMES.get(name, name): value for name, value in asdict(row).items() if value} for row in rows]


def _with_settings(
    work: Callable[[Settings, GalleryRepository], Result],
) -> Callable[[Settings], Awaitable[Result]]:
    """Give the work the settings, too, and a repository that has the threshold offsets an external index needs."""

    async def open_and_work(settings: Settings) -> Result:
        with open_repository(settings, open_offsets(settings)) as repository:
            return work(settings, repository)

    _require_local()
    return open_and_work


def _require_local() -> None:
    if remote():
        raise typer.BadParameter("only `gallery list` can ask a service: run this on its machine, without --url")


def _with_repository(
    work: Callable[[GalleryRepository], Result],
    open_offsets: Callable[[Settings], ThresholdOffsets] = lambda _: NoThresholdOffsets(),
) -> Callable[[Settings], Awaitable[Result]]:
    _require_local()

    async def open_and_work(settings: Settings) -> Result:
        with open_repository(settings, open_offsets(settings)) as repository:
            return work(repository)

    return open_and_work
