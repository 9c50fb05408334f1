"""`likeness watch SOURCE`: who is seen in a video, as JSON lines on the standard output and, if asked, by a webhook."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Any

import httpx
import typer

from app.bootstrap.models import open_pipeline
from app.bootstrap.services import open_services
from app.bootstrap.storage import DEFAULT_GALLERY
from app.cli.output import SUCCESS, CommandError, Result, err, run
from app.cli.photos import Fpir, Threshold
from app.cli.service_option import remote
from app.cli.video.frames import Frames, open_frames
from app.cli.video.recognizers import LocalRecognizer, Query, Recognizer, RemoteRecognizer
from app.cli.video.watcher import Watcher
from app.cli.video.webhook import Webhook, open_webhook, read_secret
from app.client import AsyncClient, Problem
from app.settings import Settings


def watch(
    source: Annotated[str, typer.Argument(help="A video file, the number of a camera, or an address: rtsp://...")],
    gallery: Annotated[str, typer.Option(help="The gallery to search.")] = DEFAULT_GALLERY,
    every: Annotated[float, typer.Option(min=0, max=3600, help="Seconds from one sampled frame to the next.")] = 0.2,
    after: Annotated[
        int, typer.Option(min=0, help="Identify after so many sightings by the best of them; 0: when the track ends.")
    ] = 5,
    gone: Annotated[float, typer.Option(min=0, max=3600, help="Seconds unseen after which a track ends.")] = 2.0,
    fpir: Fpir = None,
    threshold: Threshold = None,
    webhook: Annotated[str | None, typer.Option(help="Also send each event to this address, signed.")] = None,
    webhook_secret: Annotated[
        str | None,
        typer.Option(
            envvar="LIKENESS_WEBHOOK_SECRET", show_default=False, help="whsec_ and base64 of 24 bytes or more."
        ),
    ] = None,
) -> None:
    """Who is seen in a video? Prints JSON lines: start, identified and end of each track. Ctrl-C ends it."""
    if fpir is not None and threshold is not None:
        raise typer.BadParameter("expected --fpir or --threshold, got both")

    async def work(settings: Settings) -> Result:
        query = Query(gallery, fpir, threshold)
        async with AsyncExitStack() as stack:
            frames = open_frames(source, every, settings.max_image_pixels)
            stack.callback(frames.close)
            sender = (
                await stack.enter_async_context(open_webhook(webhook, read_secret(webhook_secret))) if webhook else None
            )
            recognizer = await stack.enter_async_context(_recognizer(settings, query))
            watcher = Watcher(recognizer, _printer(sender), after=after, gone=gone)
            await _watch(watcher, frames)
        _summarize(watcher, sender)
        raise typer.Exit(SUCCESS)

    run(False, work)  # noqa: FBT003


async def _watch(watcher: Watcher[Any], frames: Frames) -> None:
    """Run to the end of the video, or until the process is told to stop. Raises CommandError."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, frames.close)
    try:
        await watcher.run(frames)
    except Problem as error:
        raise CommandError(error.detail, error.document) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CommandError(f"the service gave no answer: {error}") from error
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


@asynccontextmanager
async def _recognizer(settings: Settings, query: Query) -> AsyncIterator[Recognizer[Any]]:
    if service := remote():
        async with AsyncClient(service.url, key=service.key) as client:
            yield RemoteRecognizer(client, query)
        return
    async with open_services(settings) as services:
        pipeline = open_pipeline(settings, services.models)
        yield LocalRecognizer(services, pipeline, query, settings.max_faces)


def _printer(webhook: Webhook | None) -> Callable[[Mapping[str, Any]], None]:
    def emit(event: Mapping[str, Any]) -> None:
        typer.echo(json.dumps(event, ensure_ascii=True))
        if webhook:
            webhook.send(event)

    return emit


def _summarize(watcher: Watcher[Any], webhook: Webhook | None) -> None:
    err.print(f"{watcher.frames} frames, {watcher.tracks} tracks, {watcher.named} of them named", markup=False)
    if webhook and webhook.lost:
        err.print(f"warning: {webhook.lost} events were not delivered: {webhook.last_error}", markup=False)
