"""A photo with its faces marked, and nothing else changed."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.cli.drawing import draw_faces
from app.cli.output import CommandError
from app.domain.models import Box, Face, Landmarks, Pixels, read_only
from tests.cli.conftest import Command

PHOTO: Pixels = read_only(np.random.default_rng(0).integers(0, 200, (400, 600, 3), dtype=np.uint8))
POINTS = np.array([[230, 180], [270, 180], [250, 200], [235, 225], [265, 225]], np.float32)
FACE = Face(Box(200.4, 150.2, 300.6, 260.9), Landmarks(POINTS), 0.987)
NEAR = (slice(120, 270), slice(190, 310))  # box, stroke and label


def differing(path: Path, photo: Pixels) -> np.ndarray:
    """(height, width), True where the image at `path` is not as `photo`."""
    with Image.open(path) as image:
        return np.asarray((np.asarray(image) != photo).any(-1))


def changed(path: Path, *faces: Face) -> np.ndarray:
    draw_faces(PHOTO, faces, path)
    return differing(path, PHOTO)


def test_only_pixels_near_the_face_change(tmp_path: Path) -> None:
    differs = changed(tmp_path / "out.png", FACE)
    inside = differs[NEAR].sum()

    assert inside == differs.sum() > 400


def test_the_box_and_the_landmarks_are_where_the_face_is(tmp_path: Path) -> None:
    differs = changed(tmp_path / "out.png", FACE)

    assert differs[150, 200:301].all()
    assert differs[150:261, 301].all()
    assert all(differs[round(y), round(x)] for x, y in POINTS.tolist())


def test_every_face_is_marked(tmp_path: Path) -> None:
    other = Face(Box(20, 300, 80, 380), Landmarks(np.full((5, 2), [50, 340], np.float32)), 0.5)
    differs = changed(tmp_path / "out.png", FACE, other)

    assert differs[150, 200:301].all()
    assert differs[380, 20:81].all()


def test_a_photo_without_faces_is_copied(tmp_path: Path) -> None:
    assert not changed(tmp_path / "out.png").any()


def test_a_face_beyond_the_edge_is_marked_as_far_as_it_can_be_seen(tmp_path: Path) -> None:
    beyond = Face(Box(-50.0, -50.0, 100.0, 1000.0), Landmarks(np.full((5, 2), -30, np.float32)), 0.9)

    assert changed(tmp_path / "out.png", beyond)[:, 100].all()


def test_the_photo_itself_is_left_alone(tmp_path: Path) -> None:
    before = PHOTO.copy()
    draw_faces(PHOTO, [FACE], tmp_path / "out.jpg")

    np.testing.assert_array_equal(PHOTO, before)


@pytest.mark.parametrize(
    ("name", "words"), [("out.xyz", r"ends in \.png or \.jpg"), ("out", r"ends in \.png or \.jpg")]
)
def test_a_name_of_no_image_format_is_refused_in_words(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(CommandError, match=words):
        draw_faces(PHOTO, [FACE], tmp_path / name)


def test_a_folder_that_is_not_there_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"cannot write .*nowhere"):
        draw_faces(PHOTO, [FACE], tmp_path / "nowhere" / "out.png")


def test_the_command_marks_the_face_it_tells_of(likeness: Command, hopper: Pixels) -> None:
    image, out = likeness.photo("hopper.png", hopper), likeness.folder / "out.png"
    done = likeness("detect", image, "--draw", out)
    rows, columns = differing(out, hopper).nonzero()

    assert done.exit_code == 0
    assert done.stdout.startswith("face at ")
    left, top, right, bottom = map(int, re.findall(r"\d+", done.stdout)[:4])
    assert (columns.min(), columns.max(), rows.max()) == pytest.approx((left, right, bottom), abs=2)
    assert top - 30 < rows.min() < top  # the label stands on the box


def test_an_output_that_cannot_be_written_ends_the_command_with_2(likeness: Command, hopper: Pixels) -> None:
    done = likeness("detect", likeness.photo("hopper.png", hopper), "--draw", likeness.folder / "out.xyz")

    assert done.exit_code == 2
    assert "want a name that ends in .png or .jpg" in done.stderr
