"""`likeness enroll DIR`: enrol one folder per subject. A second run skips the photos that are already enrolled."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from app.api.presenters.recognition import Presenter
from app.api.requests import SubjectFields
from app.api.uploads import Submission
from app.bootstrap.services import open_services
from app.bootstrap.storage import DEFAULT_GALLERY
from app.cli.keys import operator
from app.cli.liveness import LivenessOption, field_of, with_liveness
from app.cli.output import ERROR, SUCCESS, AsJson, CommandError, Result, problem_context, run
from app.cli.progress import progress_bar
from app.cli.remote import run_remote
from app.cli.service_option import remote
from app.client import Client, Problem, calls
from app.domain.errors import AllRejected, InvalidRequest, ServiceError
from app.domain.identity import anonymous
from app.faces.liveness import LivenessMode
from app.faces.selection import FaceRule
from app.services.container import Services
from app.services.extraction import Upload
from app.services.timing import StageTimer
from app.settings import Settings

_PHOTOS_AT_ONCE = 4
"""Requests at the same time to a remote service."""
_ABOUT_THE_PHOTO = (409, 413, 415, 422)
"""The statuses with which a service refuses one photo and not the caller."""


@dataclass(frozen=True, slots=True)
class Target:
    """The gallery, and how a face of each photo is chosen and judged."""

    gallery: str
    rule: FaceRule
    liveness: LivenessMode

    def key(self, data: bytes) -> str:
        """Return the idempotency key with which a second run finds what the first has enrolled in the same way."""
        judged = "" if self.liveness == "off" else f":{self.liveness}"
        return f"file:{hashlib.sha256(data).hexdigest()}:{self.rule}{judged}"


@dataclass(slots=True)
class Tally:
    """The number of photos by outcome; `suspected` are enrolled, but do not look live."""

    enrolled: int = 0
    already: int = 0
    rejected: list[dict[str, str]] = field(default_factory=list)
    suspected: list[dict[str, Any]] = field(default_factory=list)

    def document(self, subjects: int) -> dict[str, Any]:
        return {
            "subjects": subjects,
            "enrolled": self.enrolled,
            "already_enrolled": self.already,
            "rejected": self.rejected,
            **({"suspected": self.suspected} if self.suspected else {}),
        }

    def result(self, photos: Sequence[tuple[str, Path]]) -> Result:
        code = SUCCESS if self.enrolled + self.already else ERROR
        return code, self.document(len({subject for subject, _ in photos})), self.text()

    def text(self) -> str:
        lines = [f"{each['file']}: {each['detail']}" for each in self.rejected]
        lines += [
            f"{each['file']}: enrolled, but does not look live (score {each['score']})" for each in self.suspected
        ]
        counts = f"{self.enrolled} enrolled, {self.already} already enrolled, {len(self.rejected)} rejected"
        return "\n".join([*lines, counts])


def enroll(
    folder: Annotated[
        Path,
        typer.Argument(exists=True, file_okay=False, help="A folder that contains one folder of photos per subject."),
    ],
    gallery: Annotated[str, typer.Option(help="The gallery to enrol into.")] = DEFAULT_GALLERY,
    face: Annotated[FaceRule, typer.Option(help="Which face of a photo to use.")] = "largest",
    consent: Annotated[str | None, typer.Option(help="Your reference of the consent of all these subjects.")] = None,
    expires: Annotated[
        str | None, typer.Option(help="When all these subjects are erased: 2027-01-31T12:00:00Z.")
    ] = None,
    liveness: LivenessOption = "off",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Enrol every photo below DIR, each folder in it being one subject."""
    target = Target(gallery, face, liveness)
    if service := remote():
        run_remote(as_json, service, lambda client: _enroll_remotely(client, folder, target, consent, expires))

    async def work(settings: Settings) -> Result:
        fields = Submission([], {"consent": consent, "expires_at": expires}).parse(SubjectFields)
        photos = _photos(folder)
        tally = Tally(rejected=_outside_folders(folder))
        async with open_services(with_liveness(settings, liveness)) as services:
            if fields.model_fields_set:
                await _describe_all(services, gallery, fields, sorted({subject for subject, _ in photos}))
            await _enroll_all(services, target, photos, tally, settings.photo_threads)
        return tally.result(photos)

    run(as_json, work)


def _enroll_remotely(client: Client, folder: Path, target: Target, consent: str | None, expires: str | None) -> Result:
    photos = _photos(folder)
    tally = Tally(rejected=_outside_folders(folder))
    if consent or expires:
        for subject in sorted({subject for subject, _ in photos}):
            client.send(calls.describe(target.gallery, subject, {"consent": consent, "expires_at": expires}))
    with _progress() as progress, ThreadPoolExecutor(_PHOTOS_AT_ONCE) as pool:
        waiting = [pool.submit(_enroll_one_remotely, client, target, *photo, tally) for photo in photos]
        try:
            for done in progress.track(as_completed(waiting), total=len(photos), description="enrolling"):
                done.result()
        finally:
            pool.shutdown(cancel_futures=True)
    return tally.result(photos)


def _enroll_one_remotely(client: Client, target: Target, subject: str, path: Path, tally: Tally) -> None:
    """Raises Problem if the service refuses the caller; a photo that it refuses is told in the tally."""
    data = path.read_bytes()
    try:
        answer = client.enroll(
            target.gallery,
            subject,
            data,
            face=target.rule,
            liveness=field_of(target.liveness),
            idempotency_key=target.key(data),
        )
    except Problem as error:
        if error.status not in _ABOUT_THE_PHOTO:
            raise
        tally.rejected.append({"file": str(path), "code": error.code, "detail": error.detail})
    else:
        tally.enrolled += 1
        judged = [face.liveness for face in answer.enrolled if face.liveness]
        tally.suspected += [{"file": str(path), "score": each.score} for each in judged if not each.live]


def _photos(folder: Path) -> list[tuple[str, Path]]:
    """Return (subject, file) for every file below a subject's folder, except hidden files and folders."""
    found = [
        (subject.name, path)
        for subject in sorted(folder.iterdir())
        if subject.is_dir()
        for path in sorted(subject.rglob("*"))
        if path.is_file() and not _is_hidden(path, folder)
    ]
    if not found:
        raise CommandError(f"no photos in {folder}: expected one folder of photos per subject")
    return found


def _outside_folders(folder: Path) -> list[dict[str, str]]:
    files = (path for path in sorted(folder.iterdir()) if path.is_file() and not _is_hidden(path, folder))
    detail = "expected one folder of photos per subject, got a file beside the folders"
    return [{"file": str(path), "code": InvalidRequest.code, "detail": detail} for path in files]


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


async def _describe_all(services: Services, gallery: str, fields: SubjectFields, subjects: Sequence[str]) -> None:
    """Set consent and expiry before any face is there, so that an interrupted run leaves no face without them."""
    for subject in subjects:
        await services.galleries.put_subject(
            gallery, subject, None, operator(), consent=fields.consent, expires_at=fields.expires_at
        )


async def _enroll_all(
    services: Services, target: Target, photos: Sequence[tuple[str, Path]], tally: Tally, at_once: int
) -> None:
    semaphore = asyncio.Semaphore(at_once)
    with _progress() as progress:
        bar = progress.add_task("enrolling", total=len(photos))

        async def one(subject: str, path: Path) -> None:
            async with semaphore:
                await _enroll_one(services, target, subject, path, tally)
            progress.advance(bar)

        await asyncio.gather(*(one(subject, path) for subject, path in photos))


async def _enroll_one(services: Services, target: Target, subject: str, path: Path, tally: Tally) -> None:
    data = await asyncio.to_thread(path.read_bytes)
    timer = StageTimer()
    try:
        outcome = await services.enrollment.enroll(
            target.gallery,
            subject,
            [Upload(str(path), data, liveness=target.liveness)],
            target.rule,
            idempotency_key=target.key(data),
            present=Presenter(problem_context(), services.models, timer).enrollment,
            timer=timer,
            caller=anonymous("cli"),
            by=operator(),
        )
    except (AllRejected, InvalidRequest, ServiceError) as error:
        reason = error.rejected[0].error if isinstance(error, AllRejected) else error
        tally.rejected.append({"file": str(path), "code": reason.code, "detail": str(reason)})
    else:
        tally.enrolled += not outcome.replayed
        tally.already += outcome.replayed
        judged = (face.get("liveness") or {"live": True} for face in outcome.answer["enrolled"])
        tally.suspected += [{"file": str(path), "score": each["score"]} for each in judged if not each["live"]]


def _progress() -> Progress:
    return progress_bar(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
