"""A gallery written to a file and read back."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.domain.errors import InvalidRequest, ModelMismatch, NotFound
from app.domain.nouns import Template
from app.gallery.exchange import export_gallery, import_gallery
from app.gallery.records import Records
from tests.support.templates import MODEL, numbered, template, unit

ODD = "Žofie / 李 '; DROP TABLE faces; --\u2028"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "guests.jsonl"


def fill(records: Records) -> None:
    records.put_subject("guests", "ada", {"name": "Ada", "tags": [1, None, "ü"]})
    records.enroll("guests", "ada", numbered("ada", 1, 2))
    records.enroll("guests", ODD, numbered(ODD, 3))
    records.put_subject("guests", "nobody yet", {})


def contents(records: Records, gallery: str) -> dict[str, Any]:
    """All that a gallery holds, in values that can be compared."""
    return {
        subject.subject_id: (
            subject.metadata,
            [values(face) for face in records.faces(gallery, subject.subject_id)],
        )
        for subject in records.subjects(gallery, 1000, "")
    }


def values(enrolled: Template) -> tuple[Any, ...]:
    face, vector = enrolled.face, enrolled.embedding.vector.tobytes()
    detected = (face.box, face.landmarks.points.tobytes(), face.confidence, enrolled.quality)
    return (enrolled.face_id, vector, enrolled.embedding.model, *detected, enrolled.enrolled_at)


def rewritten(file: Path, line: int, **changes: Any) -> None:
    """`file` with members of one of its lines, or of that line's first face, replaced."""
    lines = [json.loads(each) for each in file.read_text().splitlines()]
    entry = lines[line - 1]
    (entry["faces"][0] if changes.keys() & {"vector", "landmarks", "face_id"} else entry).update(changes)
    file.write_text("".join(json.dumps(each) + "\n" for each in lines))


def test_what_was_exported_is_imported_as_it_was(records: Records, file: Path) -> None:
    fill(records)

    assert export_gallery(records, "guests", file) == 3
    assert import_gallery(records, "copy", file) == 3
    assert contents(records, "copy") == contents(records, "guests")
    assert records.gallery("copy").model == MODEL


def test_importing_again_adds_nothing(records: Records, file: Path) -> None:
    fill(records)
    export_gallery(records, "guests", file)
    before = contents(records, "guests")

    assert import_gallery(records, "guests", file) == 0
    assert contents(records, "guests") == before


def test_only_what_is_missing_is_imported(records: Records, file: Path) -> None:
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
    records: Records, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.gallery.exchange._PAGE", 2)
    for number in range(5):
        records.enroll("guests", str(number), numbered(str(number), number))
    export_gallery(records, "guests", file)

    assert import_gallery(records, "copy", file) == 5


def test_an_export_can_be_read_by_its_owner_only(records: Records, file: Path) -> None:
    fill(records)
    export_gallery(records, "guests", file)

    assert file.stat().st_mode & 0o777 == 0o600


def test_an_unknown_gallery_is_not_exported_and_no_file_made(records: Records, file: Path) -> None:
    with pytest.raises(NotFound):
        export_gallery(records, "none", file)
    assert not file.exists()


def test_an_export_of_another_model_is_refused(records: Records, file: Path) -> None:
    fill(records)
    export_gallery(records, "guests", file)
    records.enroll("copy", "eve", [template("9", "eve", unit(9), "sha256:other")])

    with pytest.raises(ModelMismatch):
        import_gallery(records, "copy", file)
    assert records.gallery("copy").faces == 1


def test_a_face_that_another_subject_has_is_refused(records: Records, file: Path) -> None:
    fill(records)
    export_gallery(records, "guests", file)
    rewritten(file, 2, subject_id="eve")

    with pytest.raises(InvalidRequest, match="one of these faces already"):
        import_gallery(records, "guests", file)


@pytest.mark.parametrize(
    ("line", "changes", "reason"),
    [
        (1, {"format": "another"}, "want format likeness-gallery-1, got another"),
        (2, {"vector": "AAAA"}, "3 bytes are no float32 vector"),
        (2, {"vector": "AACAPwAAgD8="}, "vector of length 1.4142, want 1"),
        (2, {"vector": "AADAfw=="}, "vector of length nan, want 1"),
        (2, {"vector": 5}, "not an exported gallery"),
        (2, {"landmarks": [[1, 2]]}, "want five landmarks"),
        (3, {"metadata": 5}, "not an exported gallery"),
        (4, {"faces": None}, "not an exported gallery"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(
    records: Records, file: Path, line: int, changes: dict[str, Any], reason: str
) -> None:
    fill(records)
    export_gallery(records, "guests", file)
    rewritten(file, line, **changes)

    with pytest.raises(ValueError, match=rf"guests\.jsonl, line {line}: .*{reason}"):
        import_gallery(records, "copy", file)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"5", b'"text"', b"\xff\xd8\xff"])
def test_a_file_of_something_else_is_refused(records: Records, file: Path, data: bytes) -> None:
    file.write_bytes(data)

    with pytest.raises(ValueError, match=r"not an exported gallery|can't decode"):
        import_gallery(records, "copy", file)
    assert records.galleries() == []


def test_vectors_are_exported_to_the_last_bit(records: Records, file: Path) -> None:
    records.enroll("guests", "ada", [template("1", "ada", unit(1, 512))])
    export_gallery(records, "guests", file)
    import_gallery(records, "copy", file)
    (face,) = records.faces("copy", "ada")

    np.testing.assert_array_equal(face.embedding.vector, unit(1, 512))
