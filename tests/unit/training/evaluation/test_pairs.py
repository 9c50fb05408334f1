"""LFW's pairs.txt, and pairs in CSV files."""

from pathlib import Path

import pytest

from training.evaluation.pair_files import read_pairs
from training.evaluation.pairs import UnusablePairs

TWO_FOLDS = """2\t1
Ada\t1\t2
Ada\t1\tBob\t3
Cy\t4\t12
Bob\t3\tCy\t4
"""


def test_a_pair_names_its_images_and_its_fold(tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text(TWO_FOLDS)
    pairs = read_pairs(path)
    named = [(pairs.images[a], pairs.images[b]) for a, b in zip(pairs.first, pairs.second, strict=True)]
    assert named[0] == ("Ada/Ada_0001.jpg", "Ada/Ada_0002.jpg")
    assert named[1] == ("Ada/Ada_0001.jpg", "Bob/Bob_0003.jpg")
    assert named[2] == ("Cy/Cy_0004.jpg", "Cy/Cy_0012.jpg")
    assert pairs.same.tolist() == [True, False, True, False]
    assert pairs.fold.tolist() == [0, 0, 1, 1]


def test_one_number_in_the_first_line_means_ten_folds(tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text("1\n" + "Ada 1 2\nAda 1 Bob 1\n" * 10)
    assert read_pairs(path).fold.tolist() == [fold for fold in range(10) for _ in range(2)]


def test_a_list_without_a_first_line_has_ten_folds(tmp_path: Path) -> None:
    path = tmp_path / "African_pairs.txt"
    path.write_text("m.01 1 2\nm.01\t1\tm.02\t1\n" * 20)
    pairs = read_pairs(path)
    assert pairs.fold.tolist() == [fold for fold in range(10) for _ in range(4)]
    assert pairs.images == ("m.01/m.01_0001.jpg", "m.01/m.01_0002.jpg", "m.02/m.02_0001.jpg")
    path.write_text("m.01 1 2\nm.01 1 m.02 1\n" * 11)
    with pytest.raises(UnusablePairs, match="expected 10 folds of 2 x 1 pairs, got 22 pairs"):
        read_pairs(path)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("pairs.txt", "", "line 1"),
        ("pairs.txt", "two folds\n", "line 1"),
        ("pairs.txt", "1 1\nAda 1 2\n", "got 1 pairs"),
        ("pairs.txt", "1 1\nAda 1 2\nAda one Bob 1\n", "line 3"),
        ("pairs.txt", "1 1\nAda 1\nAda 1 Bob 1\n", "line 2"),
        ("pairs.csv", "", "line 1"),
        ("pairs.csv", "a,b,same\nx,y,1\n", "line 1"),
        ("pairs.csv", "first,second,same\nx,y,yes\n", "line 2"),
        ("pairs.csv", "first,second,same\nx,y,1\nx,z,1\n", "genuine and impostor"),
        ("pairs.csv", "first,second,same,fold\nx,y,1,1\nx,z,0,1\n", "two folds"),
    ],
)
def test_a_broken_list_is_refused_with_its_line(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    with pytest.raises(UnusablePairs, match="cannot read"):
        read_pairs(tmp_path / name)
    (tmp_path / name).write_text(text)
    with pytest.raises(UnusablePairs, match=complaint):
        read_pairs(tmp_path / name)


def test_the_official_first_half_has_its_five_folds(shared_data: Path) -> None:
    pairs = read_pairs(shared_data / "lfw_dev" / "pairs.txt")
    assert (len(pairs.same), int(pairs.same.sum()), int(pairs.fold.max())) == (3000, 1500, 4)


def test_a_csv_names_pairs_of_any_images(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("first,second,same,fold\na/1.png,a/2.png,1,x\na/1.png,b/9.png,0,x\nb/9.png,b/8.png,1,y\n")
    pairs = read_pairs(path)
    assert pairs.images == ("a/1.png", "a/2.png", "b/8.png", "b/9.png")
    assert (pairs.same.tolist(), pairs.fold.tolist()) == ([True, False, True], [0, 0, 1])
    assert pairs.person_of is not None
    assert pairs.person_of.tolist() == [0, 0, 1, 1]


def test_pairs_without_folds_go_to_ten_in_turn(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("first,second,same\n" + "a.png,b.png,1\na.png,c.png,0\n" * 10)
    assert sorted(set(read_pairs(path).fold.tolist())) == list(range(10))


@pytest.mark.parametrize("row", ["a/1.png,b/1.png,1", "a/1.png,a/2.png,0"])
def test_folders_that_contradict_the_pairs_are_not_people(tmp_path: Path, row: str) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(f"first,second,same\nc/1.png,c/2.png,1\nc/1.png,d/1.png,0\n{row}\n")
    assert read_pairs(path).person_of is None
