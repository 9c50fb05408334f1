"""Import subjects from lines that arrive one after another, and tell what became of each line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from app.concurrency.worker_pool import WorkerPool
from app.domain.errors import DeadlineExceeded, InvalidRequest, LikenessError, ModelMismatch
from app.domain.identity import Actor
from app.gallery.export_lines import read_header, read_subject
from app.gallery.records import ImportedSubject, ImportOutcome
from app.gallery.repository import GalleryRepository
from app.images.crops import decode_crop
from app.services.import_lines import ImportLines, Line


@dataclass(frozen=True, slots=True)
class ImportLimits:
    """The bytes of one line, and the seconds after which an import ends."""

    line_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class LineResult:
    """The effect of a line, or why it was refused; `subject_id` is given if it could be read."""

    number: int
    subject_id: str | None
    result: ImportOutcome | LikenessError


class GalleryImport:
    """Takes the lines of exports of one model. What was told of a line is on the disk."""

    def __init__(
        self,
        repository: GalleryRepository,
        workers: WorkerPool,
        model: str,
        limits: ImportLimits,
        *,
        keep_crops: bool = False,
    ) -> None:
        self._repository, self._workers, self._model, self._limits = repository, workers, model, limits
        self._check_crop = decode_crop if keep_crops else None

    async def begin(self, chunks: AsyncIterator[bytes]) -> tuple[ImportLines, str | None]:
        """
        Return the lines behind the header, and the model that made their vectors.

        Raises InvalidRequest if the first line is no header, ModelMismatch unless the vectors are of the model in use.
        """
        lines = ImportLines(chunks, self._limits.line_bytes)
        model = read_header(await lines.first() or b"")
        if model not in (None, self._model):
            raise ModelMismatch(f"expected vectors of the model {self._model}, got those of {str(model)[:80]}")
        return lines, model

    async def results(
        self, gallery_id: str, lines: ImportLines, model: str | None, by: Actor
    ) -> AsyncIterator[list[LineResult]]:
        """
        Import the lines, many in one transaction, and yield what became of them after it.

        Raises DeadlineExceeded, or a ServiceError; then nothing is told of the lines that are not imported.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._limits.seconds
        try:
            async for batch in lines.batches():
                if clock() > deadline:
                    raise DeadlineExceeded(f"expected the import within {self._limits.seconds:g} s")
                yield await self._import(gallery_id, batch, model, by)
        finally:
            lines.close()

    async def _import(self, gallery_id: str, batch: Sequence[Line], model: str | None, by: Actor) -> list[LineResult]:
        return await self._workers.run(lambda: self._import_now(gallery_id, batch, model, by))

    def _import_now(self, gallery_id: str, batch: Sequence[Line], model: str | None, by: Actor) -> list[LineResult]:
        read = [(number, self._read(line, model)) for number, line in batch]
        subjects = [subject for _, subject in read if isinstance(subject, ImportedSubject)]
        outcomes = iter(self._repository.import_each(gallery_id, subjects, by) if subjects else ())
        return [
            LineResult(number, each.subject_id, next(outcomes))
            if isinstance(each, ImportedSubject)
            else LineResult(number, None, each)
            for number, each in read
        ]

    def _read(self, line: bytes | None, model: str | None) -> ImportedSubject | InvalidRequest:
        if line is None:
            return InvalidRequest(f"expected a line of at most {self._limits.line_bytes} bytes")
        try:
            return read_subject(line, model, self._check_crop)
        except InvalidRequest as error:
            return error
