"""A gallery written to a file and read back."""

from pathlib import Path

import pytest

from app.gallery.import_export import export_gallery, import_gallery
from app.gallery.repository import GalleryRepository
from tests.support.templates import MODEL, numbered
from tests.unit.gallery.guests import ODD, contents, fill


def test_what_was_exported_is_imported_as_it_was(repository: GalleryRepository, file: Path) -> None:
    fill(repository)

    assert export_gallery(repository, "guests", file) == (3, [])
    assert import_gallery(repository, "copy", file) == 3
    assert contents(repository, "copy") == contents(repository, "guests")
    assert repository.gallery("copy").model == MODEL


def test_only_what_is_missing_is_imported(repository: GalleryRepository, file: Path) -> None:
    fill(repository)
    export_gallery(repository, "guests", file)
    before = contents(repository, "guests")
    repository.delete_face("guests", "ada", "1")
    repository.delete_subject("guests", ODD)

    assert import_gallery(repository, "guests", file) == 2
    assert import_gallery(repository, "guests", file) == 0
    assert {name: sorted(faces) for name, (_, faces) in contents(repository, "guests").items()} == {
        name: sorted(faces) for name, (_, faces) in before.items()
    }


def test_galleries_of_many_pages_are_exported_whole(
    repository: GalleryRepository, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.gallery.import_export._PAGE", 2)
    for number in range(5):
        repository.enroll("guests", str(number), numbered(str(number), number))
    export_gallery(repository, "guests", file)

    assert import_gallery(repository, "copy", file) == 5


def test_an_export_can_be_read_by_its_owner_only(repository: GalleryRepository, file: Path) -> None:
    fill(repository)
    export_gallery(repository, "guests", file)

    assert file.stat().st_mode & 0o777 == 0o600
