"""The lists of IJB: one line an image, in two files of one order, and pairs of templates."""

from pathlib import Path

import pytest

from training.evaluation.template_lists import UnusableTemplates, read_faces, read_template_pairs

LINE = " ".join(map(str, range(11)))


def test_each_image_has_landmarks_a_score_a_template_and_a_medium(tmp_path: Path) -> None:
    (tmp_path / "faces.txt").write_text(f"1.jpg {LINE}\n2.jpg {LINE}\n")
    (tmp_path / "media.txt").write_text("1.jpg 7 70\n2.jpg 8 80\n")
    faces = read_faces(tmp_path / "faces.txt", tmp_path / "media.txt")
    assert faces.images == ("1.jpg", "2.jpg")
    assert (faces.template_of.tolist(), faces.medium_of.tolist()) == ([7, 8], [70, 80])
    assert faces.landmarks[1].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    assert faces.scores.tolist() == [10, 10]


@pytest.mark.parametrize(
    ("faces", "media", "complaint"),
    [
        (f"1.jpg {LINE}", "2.jpg 7 70", r"expected .*faces\.txt and .*media\.txt to list the same images in one order"),
        (f"1.jpg {LINE}\n2.jpg 1", "1.jpg 7 70", r"faces\.txt, line 2: expected 12 columns, got 2"),
        (f"1.jpg {LINE}", "1.jpg 7", r"media\.txt, line 1: expected 3 columns, got 2"),
        (f"1.jpg {LINE}", "1.jpg seven 70", r"media\.txt: expected numbers: .*seven"),
        ("", "", r"faces\.txt: expected 12 columns a line, got no line"),
        (f"1.jpg {LINE}", None, r"cannot read .*media\.txt"),
    ],
)
def test_a_broken_list_of_images_is_refused(tmp_path: Path, faces: str, media: str | None, complaint: str) -> None:
    (tmp_path / "faces.txt").write_text(faces)
    if media is not None:
        (tmp_path / "media.txt").write_text(media)
    with pytest.raises(UnusableTemplates, match=complaint):
        read_faces(tmp_path / "faces.txt", tmp_path / "media.txt")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("7 9 1\n2 4 1\n", "expected genuine and impostor pairs"),
        ("7 9 one\n", "cannot read"),
    ],
)
def test_a_broken_list_of_pairs_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "pairs.txt").write_text(text)
    with pytest.raises(UnusableTemplates, match=complaint):
        read_template_pairs(tmp_path / "pairs.txt")
