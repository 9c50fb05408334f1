"""`likeness --url URL gallery export` and `import`: the same files, through a running service."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, TimeRemainingColumn

from app.cli.gallery.partial_export import PartialExport
from app.cli.output import ERROR, SUCCESS, Result, hint
from app.cli.progress import progress_bar
from app.client import Client, ImportedLine
from app.client.moving import header_of

MAX_TOLD = 100
"""Refused lines that are told; more are only counted."""
_WORDS = {"created": "created", "updated": "updated", "exists": "there already", "expired": "left out as expired"}


@dataclass(slots=True)
class ImportTally:
    """The lines of an import by outcome, and the last one that was answered."""

    line: int
    faces: int = 0
    subjects: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_WORDS, 0))
    refused: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)

    def add(self, result: ImportedLine) -> None:
        self.line, self.faces = max(self.line, result.line), self.faces + result.faces
        if result.error is not None:
            self.refused += 1
            self.errors += [{"line": result.line, **result.error}] if self.refused <= MAX_TOLD else []
        elif result.status in self.subjects:
            self.subjects[result.status] += 1

    def result(self, gallery: str) -> Result:
        document = {"gallery": gallery, "faces": self.faces, "subjects": self.subjects}
        counts = ", ".join(f"{self.subjects[status]} {word}" for status, word in _WORDS.items())
        lines = [f"line {each['line']}: {each['detail']}" for each in self.errors]
        lines += [f"refused lines: {self.refused}"] if self.refused else []
        text = "\n".join([*lines, f"{self.faces} faces added to {gallery!r}; subjects: {counts}"])
        code = ERROR if self.refused else SUCCESS
        return code, {**document, "refused": self.refused, "errors": self.errors}, text


def export_remotely(client: Client, gallery: str, file: Path, *, resume: bool) -> Result:
    """Export into FILE.part, a request a subject, and rename it in the end, so that FILE is always complete."""
    info, partial = client.gallery(gallery), PartialExport(file)
    if resume:
        partial.resume(header_of(info))
    columns = BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with (
        hint(lambda: f"{partial.subjects} subjects are in {partial.path}: add --resume to go on"),
        partial.opened() as lines,
        progress_bar(*columns) as progress,
    ):
        bar = progress.add_task("exporting", total=info.subjects)
        for line in client.export_gallery(gallery, after=partial.last_subject):
            partial.add(lines, line)
            progress.update(bar, completed=partial.subjects)
    partial.complete()
    document = {"gallery": gallery, "faces": partial.faces, "subjects": partial.subjects}
    return SUCCESS, document, f"{partial.faces} faces of {gallery!r} written to {file}"


def import_remotely(client: Client, gallery: str, file: Path, *, after: int) -> Result:
    """Send the lines of the file, a thousand in a request, and count what became of them."""
    tally = ImportTally(after)
    columns = BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with (
        hint(lambda: f"lines up to {tally.line} are imported: add --after {tally.line} to go on" if tally.line else ""),
        file.open("rb") as lines,
        progress_bar(*columns) as progress,
    ):
        bar = progress.add_task("importing", total=file.stat().st_size)
        for result in client.import_gallery(gallery, iter(lines.readline, b""), after=after):
            tally.add(result)
            progress.update(bar, completed=lines.tell())
    return tally.result(gallery)
