"""How a command ends that could not do its work."""

import json

import pytest

from app.gallery.repository import GalleryRepository
from tests.cli.conftest import Command


def interrupt(_: GalleryRepository) -> None:
    raise KeyboardInterrupt


def disk_error(_: GalleryRepository) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(("failure", "words"), [(interrupt, "interrupted"), (disk_error, "No space left on device")])
def test_it_is_told_in_words_or_in_json_and_ends_with_2(
    likeness: Command, monkeypatch: pytest.MonkeyPatch, failure: object, words: str
) -> None:
    monkeypatch.setattr(GalleryRepository, "galleries", failure)
    people, machine = likeness("gallery", "list"), likeness("gallery", "list", "--json")

    assert (people.exit_code, machine.exit_code) == (2, 2)
    assert words in people.stderr
    assert words in json.loads(machine.stdout)["detail"]
    assert (people.stdout, machine.stderr) == ("", "")
