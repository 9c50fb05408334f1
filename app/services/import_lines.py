"""Cut a body that arrives in chunks into lines, and gather them for transactions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TypeAlias

from app.domain.errors import InvalidRequest

_BATCH_LINES, _BATCH_BYTES = 1000, 2**20
"""Lines and bytes of one transaction: the disk is waited for once."""
_IDLE_SECONDS = 0.1
"""Lines that wait for the rest of their transaction are handed on after so long a pause of the sender."""

Line: TypeAlias = tuple[int, bytes | None]
"""A line and its number, from 1; None for one that is too long."""


@dataclass(slots=True)
class LineSplitter:
    """Cuts chunks of bytes into lines; a line that is too long is dropped, and None stands for it."""

    max_bytes: int
    _parts: list[bytes] = field(default_factory=list)
    _size: int = 0

    def feed(self, chunk: bytes) -> list[bytes | None]:
        *ended, rest = chunk.split(b"\n")
        lines = []
        for part in ended:
            self._add(part)
            lines.append(self.end())
        self._add(rest)
        return lines

    def end(self) -> bytes | None:
        """Return the line that was begun."""
        line = b"".join(self._parts) if self._size <= self.max_bytes else None
        self._parts, self._size = [], 0
        return line

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size <= self.max_bytes:
            self._parts.append(part)
        else:
            self._parts = []


class ImportLines:
    """The lines of a request, without empty ones."""

    def __init__(self, chunks: AsyncIterator[bytes], max_bytes: int) -> None:
        self._chunks, self._splitter = chunks, LineSplitter(max_bytes)
        self._next_chunk: asyncio.Future[bytes | None] | None = None
        self._lines: list[Line] = []
        self._number = 0
        self.ended = False

    async def first(self) -> bytes | None:
        """Return the first line. Raises InvalidRequest if there is none."""
        while not self._lines and not self.ended:
            await self._read(None)
        if not self._lines:
            raise InvalidRequest("expected the lines of an exported gallery, got none")
        return self._lines.pop(0)[1]

    async def batches(self) -> AsyncIterator[list[Line]]:
        """Yield the lines in batches, each when it is full or nothing arrives for a moment."""
        while self._lines or not self.ended:
            while not self.ended and not self._is_full() and await self._read(_IDLE_SECONDS if self._lines else None):
                pass
            while self._lines:
                yield self._take()

    def close(self) -> None:
        """Stop waiting for a chunk."""
        if self._next_chunk:
            self._next_chunk.cancel()

    def _is_full(self) -> bool:
        return len(self._lines) >= _BATCH_LINES or sum(len(line or b"") for _, line in self._lines) >= _BATCH_BYTES

    def _take(self) -> list[Line]:
        count = size = 0
        while count < min(len(self._lines), _BATCH_LINES) and size < _BATCH_BYTES:
            size += len(self._lines[count][1] or b"")
            count += 1
        batch, self._lines = self._lines[:count], self._lines[count:]
        return batch

    async def _read(self, patience: float | None) -> bool:
        """Add the lines of the next chunk; return whether it came in time. Raises what the chunks raise."""
        if self._next_chunk is None:
            self._next_chunk = asyncio.ensure_future(_next_or_none(self._chunks))
        done, _ = await asyncio.wait({self._next_chunk}, timeout=patience)
        if not done:
            return False
        chunk = self._next_chunk.result()
        self._next_chunk = None
        self.ended = chunk is None
        for line in [self._splitter.end()] if chunk is None else self._splitter.feed(chunk):
            self._number += 1
            if line is None or line.strip():
                self._lines.append((self._number, line))
        return True


async def _next_or_none(chunks: AsyncIterator[bytes]) -> bytes | None:
    return await anext(chunks, None)
