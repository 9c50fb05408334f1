from pathlib import Path

import pytest

from tests.unit.training.support import WriteCrop
from training.data.dataset import FaceSet, read_crop, read_faces
from training.data.sources import UnusableData


def test_a_folder_is_a_person_and_its_images_may_lie_at_any_depth(write_crop: WriteCrop, tmp_path: Path) -> None:
    for name in ("ann/1.png", "ann/2020/may/2.JPG", "bob/1.png", "bob/old/2.png"):
        write_crop(tmp_path / "set" / name, seed=1)
    faces = read_faces([tmp_path / "set"])
    assert faces.names == ("set/ann", "set/bob")
    assert faces.labels.tolist() == [0, 0, 1, 1]
    assert [indices.tolist() for indices in faces.faces_of] == [[0, 1], [2, 3]]
    assert read_crop(faces.paths[0]).shape == (144, 144, 3)


def test_equal_names_under_two_roots_are_two_people(write_crop: WriteCrop, tmp_path: Path) -> None:
    for root in ("old", "new"):
        for face in range(2):
            write_crop(tmp_path / root / "ann" / f"{face}.png", seed=face)
    faces = read_faces([tmp_path / "old", tmp_path / "new"])
    assert faces.names == ("old/ann", "new/ann")


def test_unusable_files_and_people_are_listed_and_left_out(write_crop: WriteCrop, people: Path) -> None:
    (people / "person0" / "torn.png").write_bytes((people / "person0" / "0.png").read_bytes()[:60])
    (people / "person0" / "empty.jpg").touch()
    (people / "person0" / "notes.txt").write_text("no image, and not meant to be one", encoding="utf-8")
    write_crop(people / "person1" / "small.png", seed=1, size=112)
    write_crop(people / "lonely" / "1.png", seed=1)
    faces = read_faces([people])
    assert len(faces) == 18
    assert {skip.path.name: skip.reason for skip in faces.skipped} == {
        "torn.png": "no readable image",
        "empty.jpg": "no readable image",
        "small.png": "expected 144 x 144 pixels, got 112 x 112",
        "lonely": "expected 2 usable crops, got 1",
    }


@pytest.mark.parametrize(("name", "kind"), [("nowhere", "nothing"), ("file", "a file"), ("empty", "no folder")])
def test_a_root_without_people_is_refused_by_name(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(UnusableData, match=rf"{name}, got {kind}"):
        read_faces([tmp_path / name])


def test_the_digest_changes_with_a_pixel_and_a_name_but_not_the_folder(write_crop: WriteCrop, people: Path) -> None:
    first = read_faces([people]).digest
    (people.parent / "elsewhere").mkdir()
    moved = people.rename(people.parent / "elsewhere" / "people")
    second = read_faces([moved]).digest
    (moved / "person0").rename(moved / "person9")
    third = read_faces([moved]).digest
    write_crop(moved / "person9" / "0.png", seed=999)
    fourth = read_faces([moved]).digest
    assert first == second
    assert len({second, third, fourth}) == 3


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        (["ann/1.png", "ann/2.png"], r"expected at least 2 people with 2 crops each under .*set, got 1"),
        (["ann/1.png", "bob/1.png"], r"got 0; 2 skipped, such as .*set/ann: expected 2 usable crops, got 1"),
    ],
)
def test_too_few_people_are_refused(write_crop: WriteCrop, tmp_path: Path, files: list[str], complaint: str) -> None:
    for file in files:
        write_crop(tmp_path / "set" / file, seed=1)
    with pytest.raises(UnusableData, match=complaint):
        read_faces([tmp_path / "set"])


def test_a_subset_of_people_keeps_their_faces_and_renumbers_them(faces: FaceSet) -> None:
    some = faces.subset([4, 1])
    assert some.names == (faces.names[4], faces.names[1])
    assert some.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert some.paths == faces.paths[12:15] + faces.paths[3:6]
    assert some.file_digests == faces.file_digests[12:15] + faces.file_digests[3:6]
    assert some.digest != faces.digest
