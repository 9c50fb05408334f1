"""Entries of their own, where nothing else changes."""

from typing import Any

from app.audit.log import append
from app.domain.identity import SYSTEM, Actor
from app.storage.database import Database


def record(database: Database, action: str = "note", gallery: str = "", by: Actor = SYSTEM, **about: Any) -> None:
    with database.writing() as db:
        append(db, by, action, gallery, **about)
