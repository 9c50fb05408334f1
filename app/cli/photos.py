"""`likeness verify`, `identify`, `detect`: run the services in this process, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from app.api import requests, responses
from app.api.presenters import Presenter
from app.bootstrap.services import open_services
from app.bootstrap.storage import DEFAULT_GALLERY
from app.cli.drawing import draw_faces
from app.cli.liveness import LivenessOption, field_of, liveness_line, with_liveness
from app.cli.output import NO_MATCH, SUCCESS, AsJson, problem_context, run
from app.cli.remote import Result, run_remote
from app.cli.service_option import remote
from app.client import calls
from app.domain.identity import anonymous
from app.faces.orientation import Orientation
from app.faces.selection import FaceRule
from app.images.decode import ImageLimits, decode
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
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Are these two photos of one person? Exit 0 for a match, 1 for none."""
    one_bound(fmr, threshold)
    if service := remote():
        fields = {"face": face, "fmr": fmr, "threshold": threshold, "orientation": orientation}
        call = calls.verify(first, second, {**fields, "liveness": field_of(liveness)})
        run_remote(as_json, service, lambda client: _verified(client.send(call)))
    uploads = [Upload(str(path), path.read_bytes(), orientation, liveness) for path in (first, second)]

    async def work(settings: Settings) -> tuple[int, dict[str, Any], str]:
        timer = StageTimer()
        async with open_services(with_liveness(settings, liveness)) as services:
            result = await services.verification.pair(uploads, face, fmr=fmr, threshold=threshold, timer=timer)
            answer = Presenter(problem_context(), services.models, timer).verification(result, ("image1", "image2"))
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

    async def work(settings: Settings) -> tuple[int, dict[str, Any], str]:
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
        if draw:
            raise typer.BadParameter("expected --draw or --url, got both")
        call = calls.detect(image, {"orientation": orientation})
        run_remote(as_json, service, lambda client: _detected(client.send(call)))

    async def work(settings: Settings) -> tuple[int, dict[str, Any], str]:
        timer = StageTimer()
        async with open_services(settings) as services:
            result = await services.extraction.read(Upload(str(image), data, orientation), "all", timer)
            answer = Presenter(problem_context(), services.models, timer).detection(result)
        if draw:
            photo = decode(data, ImageLimits(settings.max_image_bytes, settings.max_image_pixels))
            draw_faces(photo, [each.face for each in result.faces], draw)
        return _detected(answer.model_dump())

    run(as_json, work)


def _verified(document: dict[str, Any]) -> Result:
    answer = responses.Verification.model_validate(document)
    return SUCCESS if answer.match else NO_MATCH, document, _verdict(answer)


def _identified(document: dict[str, Any]) -> Result:
    answer = responses.Identification.model_validate(document)
    return SUCCESS if answer.faces[0].identified else NO_MATCH, document, _names(answer)


def _detected(document: dict[str, Any]) -> Result:
    answer = responses.Detection.model_validate(document)
    return SUCCESS if answer.faces else NO_MATCH, document, _faces(answer)


def _verdict(answer: responses.Verification) -> str:
    threshold = answer.threshold
    word, sign = ("match", "<=") if answer.match else ("no match", ">")
    first = f"{word}: distance {answer.distance:.3f} {sign} {threshold.distance:.3f} ({_rates(threshold)})"
    return "".join([first, *(liveness_line(face.image, face) for face in answer.faces)])


def _rates(threshold: responses.ThresholdOut) -> str:
    if threshold.fnmr is None:
        return "uncalibrated"
    fmr = "below the measured range" if threshold.fmr is None else f"{threshold.fmr:.2g}"
    return f"FMR {fmr}, FNMR {threshold.fnmr:.2g}"


def _names(answer: responses.Identification) -> str:
    candidates = answer.faces[0].candidates
    searched = f"{answer.gallery.subjects} subjects in gallery {answer.gallery.id!r}"
    lines = [
        f"{each.rank}. {each.subject_id}  distance {each.distance:.3f} <= {each.threshold.distance:.3f}"
        for each in candidates
    ]
    named = "\n".join(lines) or f"no candidate among {searched}"
    return named + liveness_line("face", answer.faces[0])


def _faces(answer: responses.Detection) -> str:
    lines = [
        f"face at {', '.join(f'{side:.0f}' for side in face.box)}: confidence {face.confidence:.3f}, "
        f"quality {face.quality.overall:.2f}"
        for face in answer.faces
    ]
    return "\n".join(lines) or "no face found"
