"""The parts of results that several commands have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from app.cli.output import SUCCESS, Result
from app.gallery.records import DamagedRow

_JSON_NAMES = {"gallery_id": "gallery"}  # as in exported files


def erased(pending: int, document: dict[str, Any], text: str) -> Result:
    """Return the result of a command that erases, which says whether another process still holds earlier values."""
    if not pending:
        return SUCCESS, document, text
    text += "\nearlier values stay on the disk until every other reader of the gallery has ended"
    return SUCCESS, {**document, "erasures_pending": pending}, text


def damage_documents(rows: Sequence[DamagedRow]) -> list[dict[str, str]]:
    return [{_JSON_NAMES.get(name, name): value for name, value in asdict(row).items() if value} for row in rows]
