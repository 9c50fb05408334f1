"""Tables of text: columns as wide as their widest cell, so that lines can be cut and searched by other programs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

GAP = "  "
_DIGITS = 12


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return the lines of a table, under its head in capitals."""
    lines = [[name.upper() for name in head], *([_one_line(cell) for cell in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_line(line, widths) for line in lines)


def short_digest(digest: str | None) -> str:
    """Return the first digits, which are enough to tell models apart."""
    return digest.removeprefix("sha256:")[:_DIGITS] if digest else "-"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return GAP.join(cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _one_line(cell: object) -> str:
    return " ".join(str(cell).split())
