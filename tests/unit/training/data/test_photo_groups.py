"""Photos in groups, in folders or a CSV."""

from pathlib import Path

import pytest

from training.data.photo_groups import UnusablePhotoGroups, from_csv, from_folders


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("b/1.jpg", "a/deep/2.png", "a/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def test_a_folder_is_a_group_of_the_images_below_it(photos: Path) -> None:
    found = from_folders(photos)
    assert [path.name for path in found.paths] == ["2.png", "1.jpg"]
    assert (found.names, found.group_of.tolist(), found.people) == (("a", "b"), [0, 1], None)


def test_a_csv_has_groups_and_optionally_people(photos: Path) -> None:
    (photos / "groups.csv").write_text("path,group,person\nb/1.jpg,old,Ada\na/deep/2.png,young,Bob\n")
    found = from_csv(photos / "groups.csv")
    assert (found.names, found.group_of.tolist(), found.people) == (("old", "young"), [0, 1], ("Ada", "Bob"))


def test_the_photos_of_a_csv_may_be_elsewhere(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("elsewhere") / "groups.csv"
    path.write_text("path,group\nb/1.jpg,old\n")
    assert from_csv(path, photos).paths == (photos / "b/1.jpg",)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "columns path, group"),
        ("path,group\n", "columns path, group"),
        ("file,group\nb/1.jpg,old\n", "columns path, group"),
        ("path,group\nb/1.jpg,old\nb/missing.jpg,old\n", "line 3"),
        ("path,group\nb/1.jpg,\n", "line 2"),
        ("path,group,person\nb/1.jpg,old,Ada\na/deep/2.png,old,\n", "line 3"),
    ],
)
def test_a_broken_csv_is_refused_with_its_line(photos: Path, text: str, complaint: str) -> None:
    (photos / "groups.csv").write_text(text)
    with pytest.raises(UnusablePhotoGroups, match=complaint):
        from_csv(photos / "groups.csv")


def test_a_csv_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes("path,group\nb/1.jpg,Zoë\n".encode("latin-1"))
    for name in ("latin.csv", "absent.csv"):
        with pytest.raises(UnusablePhotoGroups, match=rf"cannot read .*{name}"):
            from_csv(tmp_path / name)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusablePhotoGroups, match="one folder per group"):
        from_folders(tmp_path)
