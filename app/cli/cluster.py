"""`likeness cluster DIR`: group photos by person, without any enrolment, here or by a service."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

from app.api import responses
from app.api.image_fields import MAX_CLUSTERED
from app.bootstrap.services import open_services
from app.cli.album import Album, Grouping
from app.cli.output import AsJson, CommandError, Result, run
from app.cli.photos import Face, Fmr, Threshold, one_bound
from app.cli.progress import progress_bar, waiting
from app.cli.remote import run_remote
from app.cli.service_option import remote
from app.client import Client, calls
from app.domain.embeddings import Embedding
from app.domain.errors import InputError, ServiceError
from app.faces.selection import FaceRule
from app.matching.calibration import Calibration
from app.matching.threshold_policy import Decision
from app.services.container import Services
from app.services.extraction import Upload
from app.services.grouping import members_of, person_labels
from app.services.timing import StageTimer
from app.settings import Settings


@dataclass(slots=True)
class EmbeddedPhotos:
    """The embeddings of photos with a face, and the rejected photos with the reason."""

    embeddings: dict[Path, Embedding] = field(default_factory=dict)
    rejected: list[dict[str, str]] = field(default_factory=list)


def cluster(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Photos, at any depth.")],
    output: Annotated[Path | None, typer.Option(help="A new folder for one folder per person, with links.")] = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the photos instead of linking them.")] = False,  # noqa: FBT002
    truth: Annotated[bool, typer.Option("--truth", help="Compare with DIR's folders, one per person.")] = False,  # noqa: FBT002
    face: Face = "largest",
    fmr: Fmr = None,
    threshold: Threshold = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Group photos by person. Exit 0, or 2 if no photo has a face. A service (--url) groups up to 500 photos."""
    one_bound(fmr, threshold)
    album = Album(folder, output, copy=copy, truth=truth)
    if service := remote():
        fields = {"face": face, "fmr": fmr, "threshold": threshold}
        run_remote(as_json, service, lambda client: album.result(_group_remotely(client, album.photos(), fields)))

    async def work(settings: Settings) -> Result:
        photos = album.photos()
        async with open_services(settings) as services:
            decision = services.policy.for_verification(fmr=fmr, threshold=threshold)
            embedded = await _embed_all(services, face, photos, settings.photo_threads)
            bound = _bound(decision, services.models.calibration)
        return await asyncio.to_thread(lambda: album.result(_group(embedded, decision, bound)))

    run(as_json, work)


def _group_remotely(client: Client, photos: Sequence[Path], fields: Mapping[str, Any]) -> Grouping:
    """Raises CommandError if these are more photos than the service takes."""
    if len(photos) > MAX_CLUSTERED:
        said = f"expected at most {MAX_CLUSTERED} photos with --url, got {len(photos)}"
        raise CommandError(f"{said}: group them on a machine with the models, without --url")
    with waiting("grouping"):
        answer = client.send(calls.cluster(photos, fields))
    return Grouping(
        [[photos[index] for index in group] for group in answer["groups"]],
        responses.ThresholdOut.model_validate(answer["threshold"]),
        [
            {"file": str(photos[each["index"]]), "code": each["problem"]["code"], "detail": each["problem"]["detail"]}
            for each in answer["rejected"]
        ],
    )


async def _embed_all(services: Services, rule: FaceRule, photos: Sequence[Path], at_once: int) -> EmbeddedPhotos:
    semaphore, embedded = asyncio.Semaphore(at_once), EmbeddedPhotos()
    with progress_bar(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as progress:
        bar = progress.add_task("reading photos", total=len(photos))

        async def one(path: Path) -> None:
            async with semaphore:
                await _embed(services, rule, path, embedded)
            progress.advance(bar)

        await asyncio.gather(*(one(path) for path in photos))
    return embedded


async def _embed(services: Services, rule: FaceRule, path: Path, embedded: EmbeddedPhotos) -> None:
    data = await asyncio.to_thread(path.read_bytes)
    try:
        probe = await services.extraction.probe(Upload(str(path), data), rule, StageTimer())
    except (InputError, ServiceError) as error:
        embedded.rejected.append({"file": str(path), "code": error.code, "detail": str(error)})
    else:
        embedded.embeddings[path] = probe.embedding


def _bound(decision: Decision, calibration: Calibration | None) -> responses.ThresholdOut:
    """Return the threshold as the service tells it: that of a pair of average faces, as groups have no other."""
    point, name = decision.point, calibration.data.name if calibration else None
    return responses.ThresholdOut(**responses.threshold_members(decision, point, point.fmr, name))


def _group(embedded: EmbeddedPhotos, decision: Decision, bound: responses.ThresholdOut) -> Grouping:
    photos = sorted(embedded.embeddings)
    labels = person_labels([embedded.embeddings[photo] for photo in photos], decision)
    return Grouping(
        members_of(labels, photos),
        bound,
        sorted(embedded.rejected, key=lambda each: each["file"]),
    )
