"""The lists beside the photos of CALFW, CPLFW, CFP and AgeDB-30."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from training.evaluation.pair_files import read_pairs
from training.evaluation.pairs import PairList, UnusablePairs


def named(pairs: PairList) -> list[tuple[str, str]]:
    return [(pairs.images[a], pairs.images[b]) for a, b in zip(pairs.first, pairs.second, strict=True)]


def numbers_of(pairs: PairList) -> Any:
    assert pairs.person_of is not None  # names do not contradict the pairs
    return pairs.person_of


@pytest.mark.parametrize(("genuine", "name"), [(range(1, 11), "calfw"), ([1] * 10, "cplfw")])
def test_two_lines_of_calfw_and_cplfw_are_a_pair(tmp_path: Path, genuine: list[int], name: str) -> None:
    lines = [f"Ada_Al_000{n}.jpg {kind}\n" for kind in genuine for n in (1, 2)]
    lines += [f"{who}_000{n}.jpg 0\n" for n in range(10) for who in ("Ada_Al", "Bob")]
    path = tmp_path / f"pairs_{name}.txt"
    path.write_text("".join(lines))
    pairs = read_pairs(path)
    assert named(pairs)[0] == ("Ada_Al_0001.jpg", "Ada_Al_0002.jpg")
    assert named(pairs)[-1] == ("Ada_Al_0009.jpg", "Bob_0009.jpg")
    assert pairs.same.tolist() == [True] * 10 + [False] * 10
    assert pairs.fold.tolist() == [*range(10)] * 2
    assert len(set(numbers_of(pairs))) == 2
    for broken, complaint in (
        (lines[:-1], r"line 39: expected two lines .* got 'Ada_Al_0009.jpg 0' beside ''"),
        ([*lines[:2], "Ada_Al_0001.jpg one\n", *lines[3:]], r"line 3: expected .* got 'Ada_Al_0001.jpg one' beside"),
        ([*lines[:2], "Ada_Al_0001.jpg 0\n", *lines[3:]], "line 3: expected two lines .* with the same number"),
        (lines[:38], "expected 10 pairs of each kind or more, got 10 and 9"),
    ):
        path.write_text("".join(broken))
        with pytest.raises(UnusablePairs, match=complaint):
            read_pairs(path)


@pytest.fixture
def cfp(tmp_path: Path) -> Path:
    """CFP's Protocol with three people, two frontal photos and a profile of each, in two splits."""
    protocol = tmp_path / "Protocol"
    image = "{number} ../Data/Images/{who:03d}/{view}/{photo:02d}.jpg\n"
    files = {
        "Pair_list_F.txt": [("frontal", who, photo) for who in (1, 2, 3) for photo in (1, 2)],
        "Pair_list_P.txt": [("profile", who, 1) for who in (1, 2, 3)],
    }
    protocol.mkdir()
    for name, rows in files.items():
        lines = [image.format(number=n, view=v, who=w, photo=p) for n, (v, w, p) in enumerate(rows, start=1)]
        (protocol / name).write_text("".join(lines))
    for kind, split, same, diff in (
        ("FP", "01", "1,1\n2,1\n", "1,2\n"),
        ("FP", "02", "5,3\r\n", "3,1\r\n"),
        ("FF", "01", "1,2\n", "1,3\n"),
        ("FF", "02", "3,4\n", "3,5\n"),
    ):
        folder = protocol / "Split" / kind / split
        folder.mkdir(parents=True)
        (folder / "same.txt").write_text(same)
        (folder / "diff.txt").write_text(diff)
    return protocol


def test_cfp_compares_frontal_photos_with_profiles_or_frontal_ones(cfp: Path) -> None:
    pairs = read_pairs(cfp / "Pair_list_P.txt")
    assert named(pairs) == [
        ("001/frontal/01.jpg", "001/profile/01.jpg"),
        ("001/frontal/02.jpg", "001/profile/01.jpg"),
        ("001/frontal/01.jpg", "002/profile/01.jpg"),
        ("003/frontal/01.jpg", "003/profile/01.jpg"),
        ("002/frontal/01.jpg", "001/profile/01.jpg"),
    ]
    assert (pairs.same.tolist(), pairs.fold.tolist()) == ([True, True, False, True, False], [0, 0, 0, 1, 1])
    assert len(set(numbers_of(pairs))) == 3
    frontal = read_pairs(cfp / "Pair_list_F.txt")
    assert named(frontal)[-1] == ("002/frontal/01.jpg", "003/frontal/01.jpg")
    assert frontal.same.tolist() == [True, False, True, False]
    (cfp / "Split" / "FP").rename(cfp / "Split" / "XX")
    with pytest.raises(UnusablePairs, match="expected folders Split"):
        read_pairs(cfp / "Pair_list_P.txt")


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("Split/FP/01/same.txt", "1,1\n7,1\n", "same.txt, line 2: expected the numbers of two images, .* got '7,1'"),
        ("Split/FP/02/diff.txt", "1 1\n", "diff.txt, line 1: expected the numbers of two images"),
        ("Pair_list_F.txt", "1 frontal/01.jpg\n", r"Pair_list_F.txt, line 1: expected .*, got '1 frontal/01.jpg'"),
    ],
)
def test_a_broken_file_of_cfp_is_refused_with_its_line(cfp: Path, file: str, text: str, complaint: str) -> None:
    (cfp / file).write_text(text)
    with pytest.raises(UnusablePairs, match=complaint):
        read_pairs(cfp / "Pair_list_P.txt")


def write_agedb(path: Path, splits: list[tuple[list[tuple[str, str]], list[int]]]) -> Path:
    """Write splits as AgeDB's file has them: a cell of structs of a cell of structs, and of labels."""
    cells = np.empty((len(splits), 1), object)
    for number, (pairs, labels) in enumerate(splits):
        images = np.empty((2, len(pairs)), object)
        for column, pair in enumerate(pairs):
            for row, name in enumerate(pair):
                images[row, column] = {"name": name, "age": 30}
        cells[number, 0] = {"pairs": images, "labels": np.array([labels])}
    savemat(path, {"splits": cells})
    return path


def test_agedb_has_a_struct_for_each_split(tmp_path: Path) -> None:
    splits = [([("Ada_1_x_30_f", "Ada_2_x_60_f"), ("Ada_1_x_30_f", "Bob_9_x_61_m")], [1, -1])]
    splits += [([("Cy_3_x_20_m", "Bob_9_x_61_m"), ("Cy_3_x_20_m", "Cy_4_x_50_m")], [-1, 1])]
    pairs = read_pairs(write_agedb(tmp_path / "04_FINAL_protocol_30_years.mat", splits))
    assert named(pairs)[1:3] == [("Ada_1_x_30_f.jpg", "Bob_9_x_61_m.jpg"), ("Cy_3_x_20_m.jpg", "Bob_9_x_61_m.jpg")]
    assert (pairs.same.tolist(), pairs.fold.tolist()) == ([True, False, False, True], [0, 0, 1, 1])
    assert len(set(numbers_of(pairs))) == 3
    savemat(tmp_path / "other.mat", {"pairs": np.zeros(3)})
    (tmp_path / "text.mat").write_text("no MATLAB")
    write_agedb(tmp_path / "short.mat", [(splits[0][0], [1]), splits[1]])
    for name, complaint in (
        ("other", "expected AgeDB's splits"),
        ("text", "expected AgeDB's"),
        ("short", "got 4 and 3"),
    ):
        with pytest.raises(UnusablePairs, match=complaint):
            read_pairs(tmp_path / f"{name}.mat")


def test_labels_before_two_images_are_ten_folds_in_order(tmp_path: Path) -> None:
    path = tmp_path / "agedb_30_ann.txt"
    path.write_text("1 a/1.jpg a/2.jpg\n0 a/1.jpg a/3.jpg\n" * 10)
    pairs = read_pairs(path)
    assert named(pairs)[1] == ("a/1.jpg", "a/3.jpg")
    assert pairs.fold.tolist() == [fold for fold in range(10) for _ in range(2)]
    path.write_text("1 a/1.jpg a/2.jpg\n2 a/1.jpg a/3.jpg\n")
    with pytest.raises(UnusablePairs, match=r"line 2: expected `1 first.jpg second.jpg`, got '2 a/1.jpg a/3.jpg'"):
        read_pairs(path)
    path.write_text("1 a/1.jpg a/2.jpg\n1 a/1.jpg a/3.jpg\n")
    with pytest.raises(UnusablePairs, match="expected genuine and impostor pairs"):
        read_pairs(path)
