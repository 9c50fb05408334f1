"""`likeness gallery export` and `import`: a gallery as a file of JSON lines, here or through a service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn

from app.bootstrap.models import open_offsets
from app.bootstrap.storage import DEFAULT_GALLERY
from app.cli.gallery.opening import GalleryOption, with_repository
from app.cli.gallery.remote_transfer import export_remotely, import_remotely
from app.cli.gallery.results import damage_documents
from app.cli.keys import operator
from app.cli.output import SUCCESS, AsJson, CommandError, Result, read_settings, run
from app.cli.progress import progress_bar, waiting
from app.cli.remote import run_remote
from app.cli.service_option import remote
from app.gallery import import_export
from app.gallery.repository import GalleryRepository
from app.images.crops import decode_crop


def export_gallery(
    file: Annotated[Path, typer.Argument(help="A file to write: JSON lines.")],
    gallery: GalleryOption = DEFAULT_GALLERY,
    resume: Annotated[bool, typer.Option("--resume", help="With --url: go on with an interrupted export.")] = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Write a gallery with its metadata, vectors and kept crops to FILE. Those are biometric data: protect it."""
    if service := remote():
        run_remote(as_json, service, lambda client: export_remotely(client, gallery, file, resume=resume))
    if resume:
        raise typer.BadParameter("expected --url with --resume: an export of this machine begins anew")

    def work(repository: GalleryRepository) -> Result:
        with waiting("exporting"):
            faces, left_out = import_export.export_gallery(repository, gallery, file)
        repository.audit_event(operator(), "gallery.export", gallery, faces=faces)
        document = {"gallery": gallery, "faces": faces, "left_out": damage_documents(left_out)}
        text = f"{faces} faces of {gallery!r} written to {file}"
        return SUCCESS, document, "\n".join([text, *(f"damaged and left out: {row}" for row in left_out)])

    run(as_json, with_repository(work, open_offsets))


def import_gallery(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A file that `export` wrote.")],
    gallery: GalleryOption = DEFAULT_GALLERY,
    after: Annotated[int, typer.Option(min=0, help="With --url: leave out the lines up to this number.")] = 0,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """
    Add the subjects and faces of FILE to a gallery, except what it has already; may be run again after a break.

    Crops are taken only with LIKENESS_KEEP_CROPS=on.
    """
    if service := remote():
        run_remote(as_json, service, lambda client: import_remotely(client, gallery, file, after=after))
    if after:
        raise typer.BadParameter("expected --url with --after: an import on this machine skips what is there")

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

    run(as_json, with_repository(work))
