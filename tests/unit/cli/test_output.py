"""A command that fails prints its error as text or JSON and exits with 2."""

import json

import pytest

from app.gallery.repository import GalleryRepository
from tests.unit.cli.conftest import Command


def interrupt(_: GalleryRepository) -> None:
    raise KeyboardInterrupt


def disk_error(_: GalleryRepository) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(("failure", "message"), [(interrupt, "interrupted"), (disk_error, "No space left on device")])
def test_failure_is_printed_and_the_exit_status_is_2(
    likeness: Command, monkeypatch: pytest.MonkeyPatch, failure: object, message: str
) -> None:
    monkeypatch.setattr(GalleryRepository, "galleries", failure)
    text, document = likeness("gallery", "list"), likeness("gallery", "list", "--json")
    assert (text.exit_code, document.exit_code) == (2, 2)
    assert message in text.stderr
    assert message in json.loads(document.stdout)["detail"]
    assert (text.stdout, document.stderr) == ("", "")
