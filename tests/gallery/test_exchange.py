"""A gallery written to a file and read back."""

from pathlib import Path

import numpy as np
import pytest

from app.gallery.import_export import export_gallery, import_gallery
from app.gallery.repository import GalleryRepository
from tests.gallery.guests import ODD, contents, fill
from tests.support.templates import MODEL, numbered, template, unit


def test_what_was_exported_is_imported_as_it_was(records: GalleryRepository, file: Path) -> None:
    fill(records)

    assert export_gallery(records, "guests", file) == 3
    assert import_gallery(records, "copy", file) == 3
    assert contents(records, "copy") == contents(records, "guests")
    assert records.gallery("copy").model == MODEL


def test_importing_again_adds_nothing(records: GalleryRepository, file: Path) -> None:
    fill(records)
    export_gallery(records, "guests", file)
    before = contents(records, "guests")

    assert import_gallery(records, "guests", file) == 0
    assert contents(records, "guests") == before


def test_only_what_is_missing_is_imported(records: GalleryRepository, file: Path) -> None:
    fill(records)
    export_gallery(records, "guests", file)
    before = contents(records, "guests")
    records.delete_face("guests", "ada", "1")
    records.delete_subject("guests", ODD)

    assert import_gallery(records, "guests", file) == 2
    assert {name: sorted(faces) for name, (_, faces) in contents(records, "guests").items()} == {
        name: sorted(faces) for name, (_, faces) in before.items()
    }


def test_galleries_of_many_pages_are_exported_whole(
    records: GalleryRepository, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.gallery.import_export._PAGE", 2)
    for number in range(5):
        records.enroll("guests", str(number), numbered(str(number), number))
    export_gallery(records, "guests", file)

    assert import_gallery(records, "copy", file) == 5


def test_an_export_can_be_read_by_its_owner_only(records: GalleryRepository, file: Path) -> None:
    fill(records)
    export_gallery(records, "guests", file)

    assert file.stat().st_mode & 0o777 == 0o600


def test_vectors_are_exported_to_the_last_bit(records: GalleryRepository, file: Path) -> None:
    records.enroll("guests", "ada", [template("1", "ada", unit(1, 512))])
    export_gallery(records, "guests", file)
    import_gallery(records, "copy", file)
    (face,) = records.faces("copy", "ada")

    np.testing.assert_array_equal(face.embedding.vector, unit(1, 512))
