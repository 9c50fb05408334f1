"""`likeness cluster DIR`: group photos by person, without any enrolment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

from app.bootstrap.services import open_services
from app.cli.folders import check_output, write_folders
from app.cli.output import ERROR, SUCCESS, AsJson, CommandError, Result, run
from app.cli.photos import Face, Fmr, Threshold, one_bound
from app.cli.progress import progress_bar
from app.domain.embeddings import Embedding
from app.domain.errors import InputError, ServiceError
from app.faces.selection import FaceRule
from app.matching.pairwise_scores import PairwiseScores, pairwise_scores
from app.matching.threshold_policy import Decision
from app.services.container import Services
from app.services.extraction import Upload
from app.services.grouping import members_of, person_labels
from app.services.timing import StageTimer
from app.settings import Settings


@dataclass(frozen=True)
class Grouping:
    """The groups of photos by person, largest first, and the photos that were rejected."""

    groups: Sequence[Sequence[Path]]
    decision: Decision
    rejected: Sequence[dict[str, str]]
    agreement: PairwiseScores | None = None

    def document(self) -> dict[str, Any]:
        point = self.decision.point
        return {
            "groups": [[str(photo) for photo in group] for group in self.groups],
            "rejected": list(self.rejected),
            "threshold": {
                "distance": point.threshold,  # for a pair of average faces, as groups have no other
                "base": point.threshold,
                "fmr": point.fmr,
                "source": self.decision.source,
            },
            **({"truth": _document(self.agreement)} if self.agreement else {}),
        }

    def text(self) -> str:
        repeated = [group for group in self.groups if len(group) > 1]
        lines = [f"{each['file']}: {each['detail']}" for each in self.rejected]
        lines += [f"person {number}: {len(group)} photos" for number, group in enumerate(repeated, start=1)]
        lines.append(
            f"{sum(map(len, self.groups))} photos: {len(repeated)} people in several photos, "
            f"{len(self.groups) - len(repeated)} in one photo each, {len(self.rejected)} rejected"
        )
        if self.agreement:
            lines.append(
                f"precision {self.agreement.precision:.4f} (pairs in one group that are one person), "
                f"recall {self.agreement.recall:.4f} (pairs of one person that are in one group)"
            )
        return "\n".join(lines)


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
    """Group photos by person. Exit 0, or 2 if no photo has a face."""
    one_bound(fmr, threshold)

    async def work(settings: Settings) -> Result:
        photos = _photos(folder, truth=truth)
        if output:
            check_output(output, folder)
        async with open_services(settings) as services:
            decision = services.policy.for_verification(fmr=fmr, threshold=threshold)
            embedded = await _embed_all(services, face, photos, settings.photo_threads)
        found = await asyncio.to_thread(_group, embedded, decision, folder if truth else None)
        if output:
            await asyncio.to_thread(write_folders, found.groups, folder, output, copy=copy)
        return SUCCESS if found.groups else ERROR, found.document(), found.text()

    run(as_json, work)


def _photos(folder: Path, *, truth: bool) -> list[Path]:
    """Return every file at any depth, except hidden ones."""
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not found:
        raise CommandError(f"no photos in {folder}")
    if truth and (loose := [path for path in found if path.parent == folder]):
        raise CommandError(f"expected one folder per person in {folder} for --truth, got {loose[0]}")
    return found


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


def _group(embedded: EmbeddedPhotos, decision: Decision, root: Path | None) -> Grouping:
    """Group the photos; if `root` has one folder per person, compare the groups with them."""
    photos = sorted(embedded.embeddings)
    rejected = sorted(embedded.rejected, key=lambda each: each["file"])
    if not photos:
        return Grouping([], decision, rejected)
    labels = person_labels([embedded.embeddings[photo] for photo in photos], decision)
    people = [photo.relative_to(root).parts[0] for photo in photos] if root else None
    return Grouping(members_of(labels, photos), decision, rejected, pairwise_scores(labels, people) if people else None)


def _document(agreement: PairwiseScores) -> dict[str, Any]:
    return {
        "precision": agreement.precision,
        "recall": agreement.recall,
        "pairs_together": agreement.grouped,
        "pairs_of_one_person": agreement.same_person,
    }
