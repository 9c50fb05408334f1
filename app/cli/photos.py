"""`likeness verify`, `identify`, `detect`: run the services in this process, without a server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from app.api import requests, responses
from app.api.presenters.recognition import Presenter
from app.bootstrap.services import open_services
from app.bootstrap.storage import DEFAULT_GALLERY
from app.cli.drawing import draw_faces, face_of
from app.cli.liveness import LivenessOption, field_of, with_liveness
from app.cli.output import NO_MATCH, SUCCESS, AsJson, Result, problem_context, run
from app.cli.pictures import Pictures, limits_of
from app.cli.remote import run_remote
from app.cli.sentences import found_faces, names, verdict
from app.cli.service_option import remote
from app.client import Client, calls
from app.client.call import Call
from app.domain.identity import anonymous
from app.faces.orientation import Orientation
from app.faces.selection import FaceRule
from app.images.decode import ImageLimits, decode
from app.matching.calibration import Calibration
from app.services.extraction import Upload
from app.services.timing import StageTimer
from app.settings import Settings

Photo = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="An image file.")]
Face = Annotated[FaceRule, typer.Option(help="Which face of a photo to use.")]
Fmr = Annotated[float | None, typer.Option(min=0, max=1, help="Highest false match rate.")]
Fpir = Annotated[float | None, typer.Option(min=0, max=1, help="Highest chance of naming a stranger.")]
Threshold = Annotated[float | None, typer.Option(min=0, max=4, help="Largest squared L2 distance of a match.")]


Orient = Annotated[Orientation, typer.Option(help="Also turn the photo, or only as its EXIF says.")]


def one_bound(fmr: float | None, threshold: float | None) -> None:
    """Raises BadParameter if both are given."""
    if fmr is not None and threshold is not None:
        raise typer.BadParameter("expected --fmr or --threshold, got both")


def verify(
    first: Photo,
    second: Photo,
    face: Face = "largest",
    fmr: Fmr = None,
    threshold: Threshold = None,
    orientation: Orient = "auto",
    liveness: LivenessOption = "off",
    draw: Annotated[
        Path | None, typer.Option(help="Write both photos, with the compared faces marked, as PNG or JPEG.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write where the distance lies among strangers and pairs of one person.")
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Are these two photos of one person? Exit 0 for a match, 1 for none."""
    one_bound(fmr, threshold)
    pictures = Pictures(draw, plot, (first, second))
    if service := remote():
        fields = {"face": face, "fmr": fmr, "threshold": threshold, "orientation": orientation}
        call = calls.verify(first, second, {**fields, "liveness": field_of(liveness)})
        run_remote(as_json, service, lambda client: _verified_remotely(client, call, pictures))
    uploads = [Upload(str(path), path.read_bytes(), orientation, liveness) for path in (first, second)]

    async def work(settings: Settings) -> Result:
        timer = StageTimer()
        async with open_services(with_liveness(settings, liveness)) as services:
            result = await services.verification.pair(uploads, face, fmr=fmr, threshold=threshold, timer=timer)
            answer = Presenter(problem_context(), services.models, timer).verification(result, ("image1", "image2"))
            await asyncio.to_thread(pictures.write, answer, services.models.calibration, limits_of(settings))
        return _verified(answer.model_dump())

    run(as_json, work)


def identify(
    image: Photo,
    gallery: Annotated[str, typer.Option(help="The gallery to search.")] = DEFAULT_GALLERY,
    top_k: Annotated[int, typer.Option(min=1, max=requests.MAX_TOP_K, help="Highest number of candidates.")] = 5,
    face: Face = "largest",
    fpir: Fpir = None,
    threshold: Threshold = None,
    orientation: Orient = "auto",
    liveness: LivenessOption = "off",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Who of the enrolled people is this? Exit 0 for a candidate, 1 for none."""
    if fpir is not None and threshold is not None:
        raise typer.BadParameter("expected --fpir or --threshold, got both")
    if service := remote():
        fields = {"gallery": gallery, "top_k": top_k, "face": face, "fpir": fpir, "threshold": threshold}
        call = calls.identify(image, {**fields, "orientation": orientation, "liveness": field_of(liveness)})
        run_remote(as_json, service, lambda client: _identified(client.send(call)))
    upload = Upload(str(image), image.read_bytes(), orientation, liveness)

    async def work(settings: Settings) -> Result:
        timer = StageTimer()
        async with open_services(with_liveness(settings, liveness)) as services:
            result = await services.identification.identify(
                upload,
                face,
                gallery,
                caller=anonymous("cli"),
                top_k=top_k,
                fpir=fpir,
                threshold=threshold,
                timer=timer,
            )
            answer = Presenter(problem_context(), services.models, timer).identification(result)
        return _identified(answer.model_dump())

    run(as_json, work)


def detect(
    image: Photo,
    draw: Annotated[Path | None, typer.Option(help="Write the photo with its faces marked, as PNG or JPEG.")] = None,
    orientation: Orient = "auto",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Every face of a photo. Exit 0 if there is one, 1 if there is none."""
    data = image.read_bytes()
    if service := remote():
        call = calls.detect(image, {"orientation": orientation})
        run_remote(as_json, service, lambda client: _detected(client.send(call), data, draw))

    async def work(settings: Settings) -> Result:
        timer = StageTimer()
        async with open_services(settings) as services:
            result = await services.extraction.read(Upload(str(image), data, orientation), "all", timer)
            answer = Presenter(problem_context(), services.models, timer).detection(result)
        return _detected(answer.model_dump(), data, draw, limits_of(settings))

    run(as_json, work)


def _verified_remotely(client: Client, call: Call[Any], pictures: Pictures) -> Result:
    document = client.send(call)
    answer = responses.Verification.model_validate(document)
    calibration = None
    if pictures.plot and answer.threshold.calibrated_on:
        calibration = Calibration.model_validate(client.send(calls.calibration(answer.model.id)))
    pictures.write(answer, calibration, ImageLimits())
    return _verified(document)


def _verified(document: dict[str, Any]) -> Result:
    answer = responses.Verification.model_validate(document)
    return SUCCESS if answer.match else NO_MATCH, document, verdict(answer)


def _identified(document: dict[str, Any]) -> Result:
    answer = responses.Identification.model_validate(document)
    return SUCCESS if answer.faces[0].identified else NO_MATCH, document, names(answer)


def _detected(document: dict[str, Any], data: bytes, draw: Path | None, limits: ImageLimits | None = None) -> Result:
    answer = responses.Detection.model_validate(document)
    if draw:
        draw_faces(decode(data, limits or ImageLimits()), [face_of(face) for face in answer.faces], draw)
    return SUCCESS if answer.faces else NO_MATCH, document, found_faces(answer)
