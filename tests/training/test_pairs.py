"""LFW's pairs.txt."""

import pytest

from training.pairs import UnusablePairs, read_pairs

TWO_FOLDS = """2\t1
Ada\t1\t2
Ada\t1\tBob\t3
Cy\t4\t12
Bob\t3\tCy\t4
"""


def test_a_pair_names_its_images_and_its_fold(tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text(TWO_FOLDS)
    pairs = read_pairs(path)
    named = [(pairs.images[a], pairs.images[b]) for a, b in zip(pairs.first, pairs.second, strict=True)]
    assert named[0] == ("Ada/Ada_0001.jpg", "Ada/Ada_0002.jpg")
    assert named[1] == ("Ada/Ada_0001.jpg", "Bob/Bob_0003.jpg")
    assert named[2] == ("Cy/Cy_0004.jpg", "Cy/Cy_0012.jpg")
    assert pairs.same.tolist() == [True, False, True, False]
    assert pairs.fold.tolist() == [0, 0, 1, 1]


def test_one_number_in_the_first_line_means_ten_folds(tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text("1\n" + "Ada 1 2\nAda 1 Bob 1\n" * 10)
    assert read_pairs(path).fold.tolist() == [fold for fold in range(10) for _ in range(2)]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "line 1"),
        ("two folds\n", "line 1"),
        ("1 1\nAda 1 2\n", "got 1 pairs"),
        ("1 1\nAda 1 2\nAda one Bob 1\n", "line 3"),
        ("1 1\nAda 1\nAda 1 Bob 1\n", "line 2"),
    ],
)
def test_a_broken_list_is_told_by_line(tmp_path, text, complaint):
    path = tmp_path / "pairs.txt"
    path.write_text(text)
    with pytest.raises(UnusablePairs, match=complaint):
        read_pairs(path)


def test_a_missing_list_is_told(tmp_path):
    with pytest.raises(UnusablePairs, match="cannot read"):
        read_pairs(tmp_path / "pairs.txt")


def test_the_official_first_half_has_its_five_folds(shared_data):
    pairs = read_pairs(shared_data / "lfw_dev" / "pairs.txt")
    assert (len(pairs.same), int(pairs.same.sum()), int(pairs.fold.max())) == (3000, 1500, 4)
