"""Faces are drawn into a copy of the photo, and nothing else changes."""

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from app.cli.drawing import draw_faces
from app.cli.output import CommandError
from app.domain.arrays import Pixels, read_only
from app.domain.faces import Box, Face, Landmarks
from tests.unit.cli.conftest import Command

PHOTO: Pixels = read_only(np.random.default_rng(0).integers(0, 200, (400, 600, 3), dtype=np.uint8))
POINTS = np.array([[230, 180], [270, 180], [250, 200], [235, 225], [265, 225]], np.float32)
FACE = Face(Box(200.4, 150.2, 300.6, 260.9), Landmarks(POINTS), 0.987)
Mask = npt.NDArray[np.bool_]
NEAR = (slice(120, 270), slice(190, 310))  # rows and columns of box, stroke and label


def difference(path: Path, photo: Pixels) -> Mask:
    """Return where the image at `path` differs from `photo`, (height, width) bool."""
    with Image.open(path) as image:
        return np.asarray((np.asarray(image) != photo).any(-1))


def drawn(path: Path, *faces: Face) -> Mask:
    draw_faces(PHOTO, faces, path)
    return difference(path, PHOTO)


def test_box_and_landmarks_are_drawn_at_the_face_and_nowhere_else(tmp_path: Path) -> None:
    differs = drawn(tmp_path / "out.png", FACE)
    assert differs[NEAR].sum() == differs.sum() > 400
    assert differs[150, 200:301].all()
    assert differs[150:261, 301].all()
    assert all(differs[round(y), round(x)] for x, y in POINTS.tolist())


def test_every_face_is_drawn(tmp_path: Path) -> None:
    other = Face(Box(20, 300, 80, 380), Landmarks(np.full((5, 2), [50, 340], np.float32)), 0.5)
    differs = drawn(tmp_path / "out.png", FACE, other)
    assert differs[150, 200:301].all()
    assert differs[380, 20:81].all()


def test_photo_without_faces_is_copied(tmp_path: Path) -> None:
    assert not drawn(tmp_path / "out.png").any()


def test_visible_part_of_a_face_beyond_the_edge_is_drawn(tmp_path: Path) -> None:
    beyond = Face(Box(-50.0, -50.0, 100.0, 1000.0), Landmarks(np.full((5, 2), -30, np.float32)), 0.9)
    assert drawn(tmp_path / "out.png", beyond)[:, 100].all()


def test_photo_itself_is_not_changed(tmp_path: Path) -> None:
    before = PHOTO.copy()
    draw_faces(PHOTO, [FACE], tmp_path / "out.jpg")
    np.testing.assert_array_equal(PHOTO, before)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.xyz", r"ends in \.png or \.jpg"),
        ("out", r"ends in \.png or \.jpg"),
        ("nowhere/out.png", r"cannot write .*nowhere"),
    ],
)
def test_path_that_cannot_be_written_is_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        draw_faces(PHOTO, [FACE], tmp_path / name)


def test_detect_draws_the_face_that_it_prints(likeness: Command, hopper: Pixels) -> None:
    image, out = likeness.photo("hopper.png", hopper), likeness.folder / "out.png"
    done = likeness("detect", image, "--draw", out)
    rows, columns = difference(out, hopper).nonzero()
    assert done.exit_code == 0
    assert done.stdout.startswith("face at ")
    left, top, right, bottom = map(int, re.findall(r"\d+", done.stdout)[:4])
    assert (columns.min(), columns.max(), rows.max()) == pytest.approx((left, right, bottom), abs=2)
    assert top - 30 < rows.min() < top  # the label is above the box


def test_exit_status_is_2_if_the_drawing_cannot_be_written(likeness: Command, hopper: Pixels) -> None:
    done = likeness("detect", likeness.photo("hopper.png", hopper), "--draw", likeness.folder / "out.xyz")
    assert (done.exit_code, "expected a name that ends in .png or .jpg" in done.stderr) == (2, True)
