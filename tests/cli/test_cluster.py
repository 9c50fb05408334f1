"""Photos grouped by person, without enrolment."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.domain.models import Pixels
from tests.cli.conftest import Command


@pytest.fixture
def album(likeness: Command, hopper: Pixels, collins: Pixels) -> Path:
    """Three photos of Hopper and two of Collins, a hidden file, and in folders that name them."""
    for name, pixels in (("hopper/1.jpg", hopper), ("hopper/deep/2.jpg", hopper), ("collins/1.jpg", collins)):
        likeness.photo(f"album/{name}", pixels)
    likeness.photo("album/hopper/3.png", np.ascontiguousarray(hopper[:, ::-1]))
    likeness.photo("album/collins/2.jpg", collins[:400, 50:400], quality=60)
    (likeness.folder / "album" / ".DS_Store").write_bytes(b"no image")
    return likeness.folder / "album"


def clustered(likeness: Command, album: Path, *options: object) -> dict[str, Any]:
    done = likeness("cluster", album, "--json", *options)
    return {**json.loads(done.stdout), "exit": done.exit_code}


def test_a_group_holds_the_photos_of_one_person_the_largest_first(likeness: Command, album: Path) -> None:
    found = clustered(likeness, album)

    named = [[str(Path(photo).relative_to(album)) for photo in group] for group in found["groups"]]
    assert named == [["hopper/1.jpg", "hopper/3.png", "hopper/deep/2.jpg"], ["collins/1.jpg", "collins/2.jpg"]]
    assert (found["rejected"], found["exit"]) == ([], 0)
    assert found["threshold"]["source"] == "default"


def test_folders_hold_a_person_each_as_links(likeness: Command, album: Path) -> None:
    likeness.photo("album/odd.png", np.zeros((50, 50, 3), np.uint8))
    output = likeness.folder / "sorted"
    clustered(likeness, album, "--output", output)

    written = {str(path.relative_to(output)): path for path in output.rglob("*") if not path.is_dir()}
    assert sorted(written) == [
        "person-0001/hopper-1.jpg",
        "person-0001/hopper-3.png",
        "person-0001/hopper-deep-2.jpg",
        "person-0002/collins-1.jpg",
        "person-0002/collins-2.jpg",
    ]
    assert written["person-0002/collins-1.jpg"].resolve() == (album / "collins/1.jpg").resolve()


def test_copies_stay_when_the_photos_go_and_a_person_seen_once_is_alone(likeness: Command, album: Path) -> None:
    (album / "collins/2.jpg").unlink()
    output = likeness.folder / "sorted"
    clustered(likeness, album, "--output", output, "--copy")
    (album / "collins/1.jpg").unlink()

    assert (output / "alone" / "collins-1.jpg").stat().st_size > 1000


def test_folders_that_name_the_truth_give_precision_and_recall(likeness: Command, album: Path) -> None:
    assert clustered(likeness, album, "--truth")["truth"] == {
        "precision": 1.0,
        "recall": 1.0,
        "pairs_together": 4,
        "pairs_of_one_person": 4,
    }
    everyone = clustered(likeness, album, "--truth", "--threshold", 4)["truth"]
    assert (everyone["precision"], everyone["recall"]) == (0.4, 1.0)


def test_people_read_a_line_a_rejected_photo_and_the_counts(likeness: Command, album: Path) -> None:
    (album / "broken.jpg").write_bytes(b"no image")
    done = likeness("cluster", album)

    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        f"{album / 'broken.jpg'}: expected an image, got bytes of an unknown format",
        "person 1: 3 photos",
        "person 2: 2 photos",
        "5 photos: 2 people on several, 0 on one each, 1 rejected",
    ]
    assert "looking" in done.stderr


def test_where_no_photo_has_a_face_the_command_ends_with_2(likeness: Command) -> None:
    likeness.photo("album/dark.png", np.zeros((50, 50, 3), np.uint8))

    found = clustered(likeness, likeness.folder / "album")
    assert (found["groups"], len(found["rejected"]), found["exit"]) == ([], 1, 2)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--output", "album/hopper"], "want an empty or a new folder"),
        (["--output", "album/new"], "outside of"),
        (["--fmr", "1e-9"], "expected an FMR of at least"),
        (["--truth"], "wants a folder a person"),
        (["--fmr", "0.01", "--threshold", "1"], "not both"),
    ],
)
def test_what_cannot_be_done_is_told_before_any_work(
    likeness: Command, album: Path, options: list[str], complaint: str
) -> None:
    (album / "loose.jpg").write_bytes(b"no image")
    done = likeness("cluster", album, *options)

    assert done.exit_code == 2
    assert complaint in done.stderr


def test_a_folder_without_photos_is_an_error_in_words(likeness: Command) -> None:
    (likeness.folder / "album").mkdir()
    done = likeness("cluster", likeness.folder / "album")

    assert (done.exit_code, "no photos in" in done.stderr) == (2, True)
