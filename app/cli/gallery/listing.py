"""`likeness gallery list`, also of a running service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.api.responses import GalleryOut
from app.cli.gallery.opening import with_repository
from app.cli.output import SUCCESS, AsJson, Result, run
from app.cli.remote import run_remote
from app.cli.service_option import remote
from app.cli.tables import short_digest, table
from app.client import calls
from app.gallery.repository import GalleryRepository


def list_galleries(as_json: AsJson = False) -> None:  # noqa: FBT002
    """List every gallery with its subjects and faces."""
    if service := remote():
        run_remote(as_json, service, lambda client: _listed(client.send(calls.galleries())["galleries"]))

    def work(repository: GalleryRepository) -> Result:
        return _listed([GalleryOut.of(gallery).model_dump() for gallery in repository.galleries()])

    run(as_json, with_repository(work))


def _listed(galleries: Sequence[dict[str, Any]]) -> Result:
    rows = [(each["id"], each["subjects"], each["faces"], short_digest(each["model"])) for each in galleries]
    return SUCCESS, {"galleries": list(galleries)}, table(("gallery", "subjects", "faces", "model"), rows)
