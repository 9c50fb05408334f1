"""`likeness gallery re-embed`: give a gallery another model without new photos."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import islice
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.bootstrap.models import open_new_embedder
from app.bootstrap.storage import open_repository
from app.cli.keys import operator
from app.cli.output import ERROR, SUCCESS, AsJson, CommandError, Result, err, run
from app.cli.service_option import remote
from app.gallery.re_embedding_repository import Switched
from app.gallery.repository import GalleryRepository
from app.services.re_embedding import ReEmbedding
from app.settings import Settings

_NAMED = 20
"""Subjects that the text names; the JSON document names all."""


def re_embed(
    gallery: Annotated[str, typer.Argument(help="Which gallery.")],
    model: Annotated[str | None, typer.Option(help="The name of the new model's folder.")] = None,
    drop_faces_without_crops: Annotated[  # noqa: FBT002
        bool, typer.Option("--drop-faces-without-crops", help="Erase the faces that have no kept crop.")
    ] = False,
    no_switch: Annotated[  # noqa: FBT002
        bool, typer.Option("--no-switch", help="Only make the new vectors; run it again to switch.")
    ] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Delete the new vectors made so far, and end.")] = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """
    Replace the vectors of a gallery by those of another model, from the crops that LIKENESS_KEEP_CROPS keeps.

    The service goes on meanwhile; what it changes is caught up with, and the switch is one transaction. A command that
    was interrupted goes on where it stopped. Afterwards start the service with LIKENESS_MODEL set to the new model.
    """
    if remote():
        raise typer.BadParameter("run this on the machine of the gallery, without --url")
    if (model is None) != cancel:
        raise typer.BadParameter("expected --model or --cancel, and not both")

    async def work(settings: Settings) -> Result:
        if model is None:
            with open_repository(settings) as repository:
                return _cancel(repository, gallery)
        embedder, manifest = open_new_embedder(settings, model)
        with open_repository(settings) as repository:
            task = ReEmbedding(repository, gallery, embedder, manifest.dimension, operator())
            if task.is_done():
                text = f"gallery {gallery!r} has no vectors of another model than {model}: nothing to do"
                return SUCCESS, {"gallery": gallery, "model": embedder.model, "switched": False, "done": True}, text
            without = repository.faces_without_crop(gallery)
            if without and not drop_faces_without_crops:
                err.print(_must_enroll(without), markup=False, soft_wrap=True)
            switched = await _fill_and_switch(
                repository, gallery, task, drop=drop_faces_without_crops, no_switch=no_switch
            )
            return _result(repository, gallery, model, switched, no_switch=no_switch)

    run(as_json, work)


def _cancel(repository: GalleryRepository, gallery: str) -> Result:
    cancelled = repository.cancel_re_embedding(gallery, operator())
    text = "the new vectors are deleted" if cancelled else f"no re-embedding of gallery {gallery!r} has begun"
    return SUCCESS, {"gallery": gallery, "cancelled": cancelled}, text


async def _fill_and_switch(
    repository: GalleryRepository, gallery: str, task: ReEmbedding, *, drop: bool, no_switch: bool
) -> Switched | None:
    """Return None if it was not to switch, or faces without a crop prevent it."""
    columns = (TextColumn("re-embedding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err) as progress:
        bar = progress.add_task("re-embedding", total=None)
        while True:
            status = repository.crop_status(gallery)
            done = status.re_embedding.done if status.re_embedding else 0
            progress.update(bar, completed=done, total=status.faces)
            for added in task.fill():
                progress.advance(bar, added)
                await asyncio.sleep(0)  # lets SIGINT end the command between two transactions
            switched = None if no_switch else task.switch(drop_faces_without_crops=drop)
            if switched or no_switch or (not drop and repository.faces_without_crop(gallery)):
                return switched


def _result(
    repository: GalleryRepository, gallery: str, model: str, switched: Switched | None, *, no_switch: bool
) -> Result:
    document: dict[str, Any] = {"gallery": gallery, "model": model, "switched": switched is not None}
    if switched:
        document |= {"faces": switched.gallery.faces, "erased": switched.erased}
        text = f"{switched.gallery.faces} faces of {gallery!r} have vectors of {model}"
        text += f", {switched.erased} without a crop are erased" if switched.erased else ""
        if pending := repository.pending_erasures():
            document["erasures_pending"] = pending
            text += "\nearlier values stay on the disk until every other reader of the gallery has ended"
        return SUCCESS, document, f"{text}\nstart the service with LIKENESS_MODEL={model}"
    without = repository.faces_without_crop(gallery)
    document |= {"faces_without_crop": sum(without.values()), "enroll_again": [*without]}
    if no_switch:
        return SUCCESS, document, "the new vectors are made; run the command without --no-switch to use them"
    if not without:
        raise CommandError("the faces without a crop were deleted meanwhile: run the command again")
    text = "not switched: enrol these subjects again with LIKENESS_KEEP_CROPS=on and delete their faces without a crop"
    return ERROR, document, f"{text}, or use --drop-faces-without-crops\n{_must_enroll(without)}"


def _must_enroll(without: Mapping[str, int]) -> str:
    named = ", ".join(map(repr, islice(without, _NAMED)))
    if len(without) > _NAMED:
        named += f" and {len(without) - _NAMED} others"
    return f"{sum(without.values())} faces of {len(without)} subjects have no kept crop: {named}"
