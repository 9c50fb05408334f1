"""FILE.part has the lines of an export that is not complete yet; then it becomes FILE."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from app.cli.output import CommandError


class PartialExport:
    """The file, readable by its owner only, and what is in it: whole lines up to `last_subject`."""

    def __init__(self, file: Path) -> None:
        self.path = file.with_name(f"{file.name}.part")
        self.last_subject: str | None = None
        self.subjects = self.faces = 0
        self._file, self._size = file, 0

    def resume(self, header: Mapping[str, Any]) -> None:
        """
        Count what is in the file, if there is one; a line that was cut off is left out.

        Raises CommandError if it is no export of the gallery and the model of this header.
        """
        if not self.path.exists():
            return
        with self.path.open("rb") as lines:
            whole = (line for line in lines if line.endswith(b"\n"))
            size = len(first := next(whole, _encoded(header)))
            try:
                if first != _encoded(header):
                    raise ValueError("another header")
                for line in whole:
                    self._count(json.loads(line))
                    size += len(line)
            except (ValueError, KeyError, TypeError) as error:
                said = f"expected an export of this gallery and model in {self.path}, got something else"
                raise CommandError(f"{said}: delete the file, or export without --resume") from error
        self._size = size if self.subjects else 0  # without a subject it begins again, with the header

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Open the file behind what was counted."""
        self.path.touch(0o600)
        self.path.chmod(0o600)
        with self.path.open("r+b") as lines:
            lines.truncate(self._size)
            lines.seek(self._size)
            yield lines

    def add(self, lines: BinaryIO, line: Mapping[str, Any]) -> None:
        lines.write(_encoded(line))
        if "subject_id" in line:
            self._count(line)

    def complete(self) -> None:
        self.path.replace(self._file)

    def _count(self, line: Mapping[str, Any]) -> None:
        self.last_subject = line["subject_id"]
        self.subjects += 1
        self.faces += len(line["faces"])


def _encoded(line: Mapping[str, Any]) -> bytes:
    return json.dumps(line).encode() + b"\n"
