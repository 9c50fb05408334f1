"""`likeness enroll` enrols one folder per subject, and a second run only new photos."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.domain.arrays import Pixels
from tests.unit.cli.conftest import Command


@pytest.fixture
def people(likeness: Command, hopper: Pixels, collins: Pixels) -> Path:
    likeness.photo("people/hopper/one.jpg", hopper)
    likeness.photo("people/collins/one.png", collins)
    return likeness.folder / "people"


def enroll(likeness: Command, people: Path, *options: str) -> dict[str, Any]:
    done = likeness("enroll", people, "--json", *options)
    return {**json.loads(done.stdout), "exit": done.exit_code}


def faces(likeness: Command, gallery: str = "default") -> int:
    galleries = json.loads(likeness("gallery", "list", "--json").stdout)["galleries"]
    return int({each["id"]: each["faces"] for each in galleries}[gallery])


def test_every_folder_is_a_subject(likeness: Command, people: Path) -> None:
    expected = {"subjects": 2, "enrolled": 2, "already_enrolled": 0, "rejected": [], "exit": 0}
    assert enroll(likeness, people) == expected
    assert faces(likeness) == 2


def test_second_run_enrols_only_new_photos(likeness: Command, people: Path, hopper: Pixels) -> None:
    first, second = enroll(likeness, people), enroll(likeness, people)
    likeness.photo("people/hopper/deep/two.jpg", hopper, quality=60)
    third = enroll(likeness, people)
    counts = [(each["enrolled"], each["already_enrolled"], each["exit"]) for each in (first, second, third)]
    assert counts == [(2, 0, 0), (0, 2, 0), (1, 2, 0)]
    assert faces(likeness) == 3


def test_two_copies_of_a_photo_in_a_folder_are_one_face(likeness: Command, people: Path) -> None:
    (people / "hopper" / "copy.jpg").write_bytes((people / "hopper" / "one.jpg").read_bytes())
    counted = enroll(likeness, people)
    assert (counted["enrolled"], counted["already_enrolled"]) == (2, 1)
    assert faces(likeness) == 2


def test_photo_in_two_folders_is_a_face_of_both_subjects(likeness: Command, people: Path) -> None:
    (people / "grace").mkdir()
    (people / "grace" / "one.jpg").write_bytes((people / "hopper" / "one.jpg").read_bytes())
    assert enroll(likeness, people)["enrolled"] == 3


def test_rejected_photo_is_listed_with_its_file_and_reason(likeness: Command, people: Path) -> None:
    (people / "hopper" / "broken.jpg").write_bytes(b"no image")
    (rejected,) = enroll(likeness, people)["rejected"]
    assert rejected["file"] == str(people / "hopper" / "broken.jpg")
    assert (rejected["code"], rejected["detail"]) == (
        "invalid_image",
        "expected an image, got bytes of an unknown format",
    )


def test_hidden_folders_are_nobody_and_loose_photos_are_named(likeness: Command, people: Path, hopper: Pixels) -> None:
    for name in (".hidden/x.jpg", "hopper/.thumbnails/x.jpg", "hopper/.x.jpg", "loose.jpg", ".loose.jpg"):
        likeness.photo(f"people/{name}", hopper)
    counted = enroll(likeness, people)
    assert (counted["subjects"], counted["enrolled"]) == (2, 2)
    assert [each["file"] for each in counted["rejected"]] == [str(people / "loose.jpg")]
    assert "one folder of photos per subject" in counted["rejected"][0]["detail"]


def test_text_lists_rejected_photos_and_counts(likeness: Command, people: Path) -> None:
    (people / "hopper" / "broken.jpg").write_bytes(b"no image")
    done = likeness("enroll", people)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        f"{people / 'hopper' / 'broken.jpg'}: expected an image, got bytes of an unknown format",
        "2 enrolled, 0 already enrolled, 1 rejected",
    ]
    assert done.stderr == ""


def test_exit_status_is_2_if_every_photo_is_rejected(likeness: Command) -> None:
    (likeness.folder / "people" / "nobody").mkdir(parents=True)
    (likeness.folder / "people" / "nobody" / "broken.jpg").write_bytes(b"no image")
    assert enroll(likeness, likeness.folder / "people")["exit"] == 2


def test_folder_without_photos_is_an_error(likeness: Command) -> None:
    (likeness.folder / "people" / "nobody").mkdir(parents=True)
    done, missing = (likeness("enroll", likeness.folder / name) for name in ("people", "missing"))
    assert (done.exit_code, missing.exit_code) == (2, 2)
    assert "no photos in" in done.stderr
    assert "missing" in missing.stderr


def test_quality_bounds_of_the_settings_apply(likeness: Command, people: Path) -> None:
    done = likeness("enroll", people, "--json", enroll_min_sharpness=1)
    rejected = json.loads(done.stdout)["rejected"]
    assert done.exit_code == 2
    assert [each["code"] for each in rejected] == ["low_quality", "low_quality"]
    assert all("sharpness" in each["detail"] for each in rejected)


def test_gallery_can_be_chosen(likeness: Command, people: Path) -> None:
    enroll(likeness, people, "--gallery", "guests")
    assert (faces(likeness, "guests"), faces(likeness)) == (2, 0)


def test_consent_and_expiry_are_those_of_every_subject(likeness: Command, people: Path) -> None:
    enroll(likeness, people, "--consent", "form 7", "--expires", "2999-01-01T00:00:00Z")
    exported = likeness.folder / "export.jsonl"
    likeness("gallery", "export", exported)
    subjects = [json.loads(line) for line in exported.read_text().splitlines()[1:]]
    found = {each["subject_id"]: (each["consent"], each["expires_at"]) for each in subjects}
    assert found == dict.fromkeys(("collins", "hopper"), ("form 7", "2999-01-01T00:00:00.000Z"))


def test_an_expiry_in_the_past_enrols_nobody(likeness: Command, people: Path) -> None:
    done = likeness("enroll", people, "--expires", "2020-01-01T00:00:00Z")
    assert done.exit_code == 2
    assert "expected a time in the future, got 2020-01-01T00:00:00.000Z" in done.stderr
    (gallery,) = json.loads(likeness("gallery", "list", "--json").stdout)["galleries"]
    assert gallery["subjects"] == 0
