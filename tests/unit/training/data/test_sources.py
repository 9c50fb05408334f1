from pathlib import Path

import pytest

from tests.unit.training.support import WriteCrop
from training.data.dataset import read_faces
from training.data.sources import UnusableData


@pytest.fixture
def table(write_crop: WriteCrop, tmp_path: Path) -> Path:
    """A CSV of two people with two crops each, and a missing file."""
    lines = ["person,path,remark"]
    for number, person in enumerate(["ann", "bob", "ann", "bob"]):
        lines.append(
            f"{person},{write_crop(tmp_path / 'files' / f'{number}.png', seed=number).relative_to(tmp_path)},x"
        )
    path = tmp_path / "faces.csv"
    path.write_text("\n".join([*lines, "bob,files/gone.png,"]), encoding="utf-8")
    return path


def test_a_csv_lists_the_files_of_each_person(table: Path) -> None:
    faces = read_faces([table])
    assert faces.names == ("faces/ann", "faces/bob")
    assert [path.name for path in faces.paths] == ["0.png", "2.png", "1.png", "3.png"]
    assert [(skip.path.name, skip.reason) for skip in faces.skipped] == [("gone.png", "No such file or directory")]


def test_a_csv_and_a_folder_may_be_trained_on_together(table: Path, people: Path) -> None:
    assert len(read_faces([table, people]).names) == 8


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("file,who\n1.png,ann\n", r"expected the columns path and person in .*faces\.csv, got \['file', 'who'\]"),
        ("", r"expected the columns path and person in .*faces\.csv, got nothing"),
        ("path,person\n1.png,ann\n2.png\n", r"expected a path and a person in .*faces\.csv, line 3"),
        ("path,person\n", r"expected at least 2 people with 2 crops each under .*faces\.csv, got 0"),
    ],
)
def test_a_csv_in_another_format_is_refused_with_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "faces.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UnusableData, match=complaint):
        read_faces([path])


def test_a_csv_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes("path,person\n1.png,Zoë\n".encode("latin-1"))
    for name in ("latin.csv", "absent.csv"):
        with pytest.raises(UnusableData, match=rf"{name} cannot be read"):
            read_faces([tmp_path / name])


def test_a_packed_file_that_holds_no_people_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(UnusableData, match=r"lfw\.bin is a list of pairs: measure it by `evaluate bin`"):
        read_faces([tmp_path / "lfw.bin"])
    with pytest.raises(UnusableData, match=r"train\.idx is an index: give the \.rec file beside it"):
        read_faces([tmp_path / "train.idx"])
