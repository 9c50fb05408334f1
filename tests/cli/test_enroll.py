"""A folder a subject; run again, only what is new is enrolled."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.domain.models import Pixels
from tests.cli.conftest import Command


@pytest.fixture
def people(likeness: Command, hopper: Pixels, collins: Pixels) -> Path:
    likeness.photo("people/hopper/one.jpg", hopper)
    likeness.photo("people/collins/one.png", collins)
    return likeness.folder / "people"


def tally(likeness: Command, people: Path, *options: str) -> dict[str, Any]:
    done = likeness("enroll", people, "--json", *options)
    return {**json.loads(done.stdout), "exit": done.exit_code}


def faces(likeness: Command, gallery: str = "default") -> int:
    galleries = json.loads(likeness("gallery", "list", "--json").stdout)["galleries"]
    return int({each["id"]: each["faces"] for each in galleries}[gallery])


def test_every_folder_is_a_subject(likeness: Command, people: Path) -> None:
    expected = {"subjects": 2, "enrolled": 2, "already_enrolled": 0, "rejected": [], "exit": 0}

    assert tally(likeness, people) == expected
    assert faces(likeness) == 2


def test_running_again_enrols_only_what_is_new(likeness: Command, people: Path, hopper: Pixels) -> None:
    tally(likeness, people)
    likeness.photo("people/hopper/deep/two.jpg", hopper, quality=60)
    again = tally(likeness, people)

    assert (again["enrolled"], again["already_enrolled"], again["exit"]) == (1, 2, 0)
    assert faces(likeness) == 3


def test_running_again_with_nothing_new_succeeds(likeness: Command, people: Path) -> None:
    tally(likeness, people)

    assert (tally(likeness, people)["already_enrolled"], tally(likeness, people)["exit"]) == (2, 0)


def test_the_same_photo_twice_in_a_folder_is_one_face(likeness: Command, people: Path) -> None:
    (people / "hopper" / "copy.jpg").write_bytes((people / "hopper" / "one.jpg").read_bytes())
    counted = tally(likeness, people)

    assert (counted["enrolled"], counted["already_enrolled"]) == (2, 1)
    assert faces(likeness) == 2


def test_the_same_photo_under_two_names_is_a_face_of_both(likeness: Command, people: Path) -> None:
    (people / "grace").mkdir()
    (people / "grace" / "one.jpg").write_bytes((people / "hopper" / "one.jpg").read_bytes())

    assert tally(likeness, people)["enrolled"] == 3


def test_a_photo_that_is_rejected_is_told_with_its_file_and_reason(likeness: Command, people: Path) -> None:
    (people / "hopper" / "broken.jpg").write_bytes(b"no image")
    (rejected,) = tally(likeness, people)["rejected"]

    assert rejected["file"] == str(people / "hopper" / "broken.jpg")
    assert (rejected["code"], rejected["detail"]) == (
        "invalid_image",
        "expected an image, got bytes of an unknown format",
    )


def test_people_read_a_line_a_rejected_photo_and_the_counts(likeness: Command, people: Path) -> None:
    (people / "hopper" / "broken.jpg").write_bytes(b"no image")
    done = likeness("enroll", people)

    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        f"{people / 'hopper' / 'broken.jpg'}: expected an image, got bytes of an unknown format",
        "2 enrolled, 0 already there, 1 rejected",
    ]
    assert "enrolling" in done.stderr


def test_where_everything_is_rejected_the_command_ends_with_2(likeness: Command) -> None:
    (likeness.folder / "people" / "nobody").mkdir(parents=True)
    (likeness.folder / "people" / "nobody" / "broken.jpg").write_bytes(b"no image")

    assert tally(likeness, likeness.folder / "people")["exit"] == 2


def test_hidden_files_and_files_beside_the_folders_are_left_out(likeness: Command, people: Path) -> None:
    for name in ("notes.txt", "hopper/.DS_Store", "collins/.hidden.jpg"):
        (people / name).write_bytes(b"no image")

    assert tally(likeness, people)["rejected"] == []


def test_a_folder_without_photos_is_an_error_in_words(likeness: Command) -> None:
    (likeness.folder / "people" / "nobody").mkdir(parents=True)
    done = likeness("enroll", likeness.folder / "people")

    assert done.exit_code == 2
    assert "no photos in" in done.stderr


def test_a_poor_face_is_rejected_by_the_bounds_in_the_settings(likeness: Command, people: Path) -> None:
    done = likeness("enroll", people, "--json", enroll_min_sharpness=1)
    rejected = json.loads(done.stdout)["rejected"]

    assert done.exit_code == 2
    assert [each["code"] for each in rejected] == ["low_quality", "low_quality"]
    assert all("sharpness" in each["detail"] for each in rejected)


def test_another_gallery_can_be_named(likeness: Command, people: Path) -> None:
    tally(likeness, people, "--gallery", "guests")

    assert (faces(likeness, "guests"), faces(likeness)) == (2, 0)
