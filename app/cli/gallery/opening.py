"""Open the gallery of this machine for a command."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from app.bootstrap.models import open_offsets
from app.bootstrap.storage import open_repository
from app.cli.output import Result
from app.cli.service_option import remote
from app.domain.ports import NoThresholdOffsets, ThresholdOffsets
from app.gallery.repository import GalleryRepository
from app.settings import Settings

GalleryOption = Annotated[str, typer.Option(help="Which gallery.")]
GalleryName = Annotated[str, typer.Argument(help="Which gallery.")]


def with_repository(
    work: Callable[[GalleryRepository], Result],
    offsets: Callable[[Settings], ThresholdOffsets] = lambda _: NoThresholdOffsets(),
) -> Callable[[Settings], Awaitable[Result]]:
    return with_settings(lambda _, repository: work(repository), offsets)


def with_settings(
    work: Callable[[Settings, GalleryRepository], Result],
    offsets: Callable[[Settings], ThresholdOffsets] = open_offsets,
) -> Callable[[Settings], Awaitable[Result]]:
    """Give the work the settings, too, and a repository that has the threshold offsets an external index needs."""

    async def open_and_work(settings: Settings) -> Result:
        with open_repository(settings, offsets(settings)) as repository:
            return work(settings, repository)

    _require_local()
    return open_and_work


def _require_local() -> None:
    if remote():
        raise typer.BadParameter(
            "only `gallery list`, `export` and `import` can ask a service: run this on its machine, without --url"
        )
