"""A gallery written to a file and read back."""

import json
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from pathlib import Path

import pytest

from app.audit.log import AuditLog
from app.domain.errors import InvalidRequest
from app.gallery.import_export import export_gallery, import_gallery
from app.gallery.repository import GalleryRepository
from app.storage.database import Connection
from tests.support.fakes import WeightedOffsets
from tests.support.repository import FileRepository
from tests.support.templates import MODEL, numbered, unit
from tests.unit.gallery.guests import ODD, contents, fill

pytestmark = pytest.mark.any_database


def test_what_was_exported_is_imported_as_it_was(repository: GalleryRepository, file: Path) -> None:
    fill(repository)

    assert export_gallery(repository, "guests", file) == (3, [])
    assert import_gallery(repository, "copy", file) == 3
    assert contents(repository, "copy") == contents(repository, "guests")
    assert repository.gallery("copy").model == MODEL


def test_an_export_tells_threshold_offsets_and_an_import_computes_them_anew(path: Path, file: Path) -> None:
    offsets = WeightedOffsets(unit(7).tolist(), MODEL)
    with closing(FileRepository(path, offsets=offsets)) as repository:
        repository.enroll("guests", "ada", numbered("ada", 1))
        export_gallery(repository, "guests", file)
        header, line = map(json.loads, lines(file))
        told = line["faces"][0]["threshold_offset"]
        line["faces"][0]["threshold_offset"] = 99
        file.write_text(f"{json.dumps(header)}\n{json.dumps(line)}\n")
        import_gallery(repository, "copy", file)
        (copied,) = repository.faces("copy", "ada")

    assert told == copied.embedding.threshold_offset == pytest.approx(float(unit(1) @ unit(7)))


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


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines(keepends=True)


def transactions(repository: FileRepository, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by one with each writing transaction."""
    seen: list[int] = []
    writing = repository.database.writing

    def counted() -> AbstractContextManager[Connection]:
        seen.append(1)
        return writing()

    monkeypatch.setattr(repository.database, "writing", counted)
    return seen


@pytest.mark.only_sqlite
def test_many_faces_are_one_transaction(
    repository: FileRepository, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        repository.enroll("guests", str(number), numbered(str(number), number))
    export_gallery(repository, "guests", file)
    seen = transactions(repository, monkeypatch)

    assert import_gallery(repository, "copy", file) == 40
    assert len(seen) == 1


def test_an_interrupted_import_keeps_whole_transactions_and_goes_on(
    repository: FileRepository, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.gallery.import_export._BATCH", 4)
    for number in range(9):
        repository.enroll("guests", str(number), numbered(str(number), number))
    export_gallery(repository, "guests", file)
    whole = lines(file)
    file.write_text("".join(whole[:8]) + "{broken")
    progress: list[int] = []
    with pytest.raises(ValueError, match="line 9"):
        import_gallery(repository, "copy", file, on_progress=progress.append)
    assert repository.gallery("copy").faces == 6
    assert len(progress) == 3
    file.write_text("".join(whole))

    assert import_gallery(repository, "copy", file, on_progress=progress.append) == 3
    assert progress[-1] == file.stat().st_size
    assert contents(repository, "copy") == contents(repository, "guests")


def test_a_repeated_line_is_no_error_and_what_is_there_makes_no_entry(repository: FileRepository, file: Path) -> None:
    fill(repository)
    export_gallery(repository, "guests", file)
    file.write_text("".join([*lines(file), lines(file)[1]]))
    assert import_gallery(repository, "copy", file) == 3
    before = AuditLog(repository.database).entries()

    assert import_gallery(repository, "copy", file) == 0
    assert AuditLog(repository.database).entries() == before


def test_a_face_of_two_subjects_in_one_file_is_refused(repository: FileRepository, file: Path) -> None:
    fill(repository)
    export_gallery(repository, "guests", file)
    twice = json.loads(lines(file)[1]) | {"subject_id": "eve"}
    file.write_text("".join([*lines(file), json.dumps(twice) + "\n"]))

    with pytest.raises(InvalidRequest, match="face '1' belongs to two subjects"):
        import_gallery(repository, "copy", file)
    assert [gallery.id for gallery in repository.galleries()] == ["guests"]


def test_changed_metadata_is_replaced(repository: FileRepository, file: Path) -> None:
    fill(repository)
    export_gallery(repository, "guests", file)
    repository.put_subject("guests", "ada", {"name": "changed"})

    assert import_gallery(repository, "guests", file) == 0
    assert repository.subject("guests", "ada").metadata["name"] == "Ada"


def test_an_export_can_be_read_by_its_owner_only(repository: GalleryRepository, file: Path) -> None:
    fill(repository)
    export_gallery(repository, "guests", file)

    assert file.stat().st_mode & 0o777 == 0o600


def test_consent_and_expiry_of_a_line_replace_those_that_are_there_and_none_keeps_them(
    repository: GalleryRepository, file: Path
) -> None:
    repository.put_subject("guests", "ada", {}, consent="form 7", expires_at="2999-01-01T00:00:00.000Z")
    repository.put_subject("guests", "bob", {})
    export_gallery(repository, "guests", file)
    repository.put_subject("guests", "ada", {}, consent="form 1", expires_at="2998-01-01T00:00:00.000Z")
    repository.put_subject("guests", "bob", {}, consent="form 2", expires_at="2997-01-01T00:00:00.000Z")
    import_gallery(repository, "guests", file)

    found = {each.subject_id: (each.consent, each.expires_at) for each in repository.subjects("guests", 9, "")}
    assert found == {
        "ada": ("form 7", "2999-01-01T00:00:00.000Z"),
        "bob": ("form 2", "2997-01-01T00:00:00.000Z"),
    }


def test_a_subject_past_its_expiry_is_not_imported(repository: GalleryRepository, file: Path) -> None:
    repository.enroll("guests", "ada", numbered("ada", 1))
    repository.enroll("guests", "bob", numbered("bob", 2))
    repository.put_subject("guests", "ada", None, expires_at="2020-01-01T00:00:00.000Z")
    export_gallery(repository, "guests", file)

    assert import_gallery(repository, "copy", file) == 1
    assert [each.subject_id for each in repository.subjects("copy", 9, "")] == ["bob"]


def test_an_export_without_consent_and_expiry_is_imported(repository: GalleryRepository, file: Path) -> None:
    fill(repository)
    export_gallery(repository, "guests", file)
    older = [json.loads(line) for line in lines(file)]
    for entry in older:
        entry.pop("consent", None), entry.pop("expires_at", None)
    file.write_text("".join(json.dumps(entry) + "\n" for entry in older))

    assert import_gallery(repository, "copy", file) == 3


def test_a_face_that_was_enrolled_as_a_vector_is_exported_and_imported(
    repository: GalleryRepository, file: Path
) -> None:
    repository.enroll("guests", "ada", [replace(numbered("ada", 1)[0], face=None, quality=None)])
    export_gallery(repository, "guests", file)

    assert import_gallery(repository, "copy", file) == 1
    (face,) = repository.faces("copy", "ada")
    assert (face.face, face.quality) == (None, None)
    assert contents(repository, "copy") == contents(repository, "guests")
