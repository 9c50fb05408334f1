"""`likeness cluster` groups photos by person."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.domain.arrays import Pixels
from tests.unit.cli.conftest import Command


@pytest.fixture
def album(likeness: Command, hopper: Pixels, collins: Pixels) -> Path:
    """A folder per person, with three photos of Hopper and two of Collins, and a hidden file."""
    for name, pixels in (("hopper/1.jpg", hopper), ("hopper/deep/2.jpg", hopper), ("collins/1.jpg", collins)):
        likeness.photo(f"album/{name}", pixels)
    likeness.photo("album/hopper/3.png", np.ascontiguousarray(hopper[:, ::-1]))
    likeness.photo("album/collins/2.jpg", collins[:400, 50:400], quality=60)
    (likeness.folder / "album" / ".DS_Store").write_bytes(b"no image")
    return likeness.folder / "album"


def cluster(likeness: Command, album: Path, *options: object) -> dict[str, Any]:
    done = likeness("cluster", album, "--json", *options)
    return {**json.loads(done.stdout), "exit": done.exit_code}


def test_groups_have_the_photos_of_one_person_largest_group_first(likeness: Command, album: Path) -> None:
    document = cluster(likeness, album)
    named = [[str(Path(photo).relative_to(album)) for photo in group] for group in document["groups"]]
    assert named == [["hopper/1.jpg", "hopper/3.png", "hopper/deep/2.jpg"], ["collins/1.jpg", "collins/2.jpg"]]
    assert (document["rejected"], document["exit"]) == ([], 0)
    assert document["threshold"]["source"] == "default"


def test_output_has_one_folder_of_links_per_person(likeness: Command, album: Path) -> None:
    likeness.photo("album/odd.png", np.zeros((50, 50, 3), np.uint8))
    output = likeness.folder / "sorted"
    cluster(likeness, album, "--output", output)
    links = {str(path.relative_to(output)): path for path in output.rglob("*") if not path.is_dir()}
    assert sorted(links) == [
        "person-0001/hopper-1.jpg",
        "person-0001/hopper-3.png",
        "person-0001/hopper-deep-2.jpg",
        "person-0002/collins-1.jpg",
        "person-0002/collins-2.jpg",
    ]
    assert links["person-0002/collins-1.jpg"].resolve() == (album / "collins/1.jpg").resolve()


def test_copies_are_independent_and_single_photos_are_in_alone(likeness: Command, album: Path) -> None:
    (album / "collins/2.jpg").unlink()
    output = likeness.folder / "sorted"
    cluster(likeness, album, "--output", output, "--copy")
    (album / "collins/1.jpg").unlink()
    assert (output / "alone" / "collins-1.jpg").stat().st_size > 1000


def test_truth_gives_precision_and_recall(likeness: Command, album: Path) -> None:
    assert cluster(likeness, album, "--truth")["truth"] == {
        "precision": 1.0,
        "recall": 1.0,
        "pairs_together": 4,
        "pairs_of_one_person": 4,
    }
    everyone = cluster(likeness, album, "--truth", "--threshold", 4)["truth"]
    assert (everyone["precision"], everyone["recall"]) == (0.4, 1.0)


def test_text_lists_rejected_photos_groups_and_counts(likeness: Command, album: Path) -> None:
    (album / "broken.jpg").write_bytes(b"no image")
    done = likeness("cluster", album)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        f"{album / 'broken.jpg'}: expected an image, got bytes of an unknown format",
        "person 1: 3 photos",
        "person 2: 2 photos",
        "5 photos: 2 people in several photos, 0 in one photo each, 1 rejected",
        "grouped up to a mean distance of 0.936 (FMR 0.0001, FNMR 0.033)",
        "On lfw_dev 1 in 10,000 pairs of strangers would match as well, and 1 in 30 pairs of one person would not.",
    ]
    assert done.stderr == ""


def test_exit_status_is_2_if_no_photo_has_a_face(likeness: Command) -> None:
    likeness.photo("album/dark.png", np.zeros((50, 50, 3), np.uint8))
    document = cluster(likeness, likeness.folder / "album")
    assert (document["groups"], len(document["rejected"]), document["exit"]) == ([], 1, 2)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--output", "album/hopper"], "expected an empty or new folder"),
        (["--output", "album/new"], "outside of"),
        (["--fmr", "1e-9"], "expected fmr of at least"),
        (["--truth"], "expected one folder per person"),
        (["--fmr", "0.01", "--threshold", "1"], "got both"),
    ],
)
def test_invalid_options_are_refused_before_any_work(
    likeness: Command, album: Path, options: list[str], complaint: str
) -> None:
    (album / "loose.jpg").write_bytes(b"no image")
    done = likeness("cluster", album, *options)
    assert done.exit_code == 2
    assert complaint in done.stderr


def test_folder_without_photos_is_an_error(likeness: Command) -> None:
    (likeness.folder / "album").mkdir()
    done = likeness("cluster", likeness.folder / "album")
    assert (done.exit_code, "no photos in" in done.stderr) == (2, True)
