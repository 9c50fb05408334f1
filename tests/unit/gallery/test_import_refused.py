"""Exports and imports that cannot be, each with its reason."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.domain.errors import InvalidRequest, ModelMismatch, NotFound
from app.gallery.import_export import export_gallery, import_gallery
from app.gallery.repository import GalleryRepository
from tests.support.templates import template, unit
from tests.unit.gallery.guests import fill


def rewritten(file: Path, line: int, **changes: Any) -> None:
    """`file` with members of one of its lines, or of that line's first face, replaced."""
    lines = [json.loads(each) for each in file.read_text().splitlines()]
    entry = lines[line - 1]
    (entry["faces"][0] if changes.keys() & {"vector", "landmarks", "face_id"} else entry).update(changes)
    file.write_text("".join(json.dumps(each) + "\n" for each in lines))


def test_an_unknown_gallery_is_not_exported_and_no_file_made(repository: GalleryRepository, file: Path) -> None:
    with pytest.raises(NotFound):
        export_gallery(repository, "none", file)
    assert not file.exists()


def test_an_export_of_another_model_is_refused(repository: GalleryRepository, file: Path) -> None:
    fill(repository)
    export_gallery(repository, "guests", file)
    repository.enroll("copy", "eve", [template("9", "eve", unit(9), "sha256:other")])

    with pytest.raises(ModelMismatch):
        import_gallery(repository, "copy", file)
    assert repository.gallery("copy").faces == 1


def test_a_face_that_another_subject_has_is_refused(repository: GalleryRepository, file: Path) -> None:
    fill(repository)
    export_gallery(repository, "guests", file)
    rewritten(file, 2, subject_id="eve")

    with pytest.raises(InvalidRequest, match="one of these faces already"):
        import_gallery(repository, "guests", file)


@pytest.mark.parametrize(
    ("line", "changes", "reason"),
    [
        (1, {"format": "another"}, "expected format likeness-gallery-1, got another"),
        (2, {"vector": "AAAA"}, "expected a float32 vector, got 3 bytes"),
        (2, {"vector": "AACAPwAAgD8="}, "expected a vector of length 1, got length 1.4142"),
        (2, {"vector": "AADAfw=="}, "expected a vector of length 1, got length nan"),
        (2, {"vector": 5}, "not an exported gallery: expected vector as text, got a number"),
        (2, {"face_id": None}, "expected face_id as text, got null"),
        (3, {"subject_id": 5}, "expected subject_id as text, got a number"),
        (3, {"subject_id": None}, "expected subject_id as text, got null"),
        (2, {"landmarks": [[1, 2]]}, "expected five landmarks"),
        (3, {"metadata": []}, "expected metadata as an object, got a list"),
        (4, {"faces": None}, "expected faces as a list, got null"),
        (4, {"consent": 7}, "expected consent as text, got a number"),
        (4, {"expires_at": "2999"}, "expected a time such as 2027-01-31T12:00:00Z, got '2999'"),
        (4, {"expires_at": 2999}, "expected expires_at as text, got a number"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(
    repository: GalleryRepository, file: Path, line: int, changes: dict[str, Any], reason: str
) -> None:
    fill(repository)
    export_gallery(repository, "guests", file)
    rewritten(file, line, **changes)

    with pytest.raises(ValueError, match=rf"guests\.jsonl, line {line}: .*{reason}"):
        import_gallery(repository, "copy", file)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"5", b'"text"', b"\xff\xd8\xff"])
def test_a_file_of_something_else_is_refused(repository: GalleryRepository, file: Path, data: bytes) -> None:
    file.write_bytes(data)

    with pytest.raises(ValueError, match=r"not an exported gallery|can't decode"):
        import_gallery(repository, "copy", file)
    assert repository.galleries() == []
