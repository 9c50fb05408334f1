"""Photos cut as tightly as others are."""

import numpy as np
import pytest

from app.faces.alignment import similarity_transform
from training.evaluation.cropping import TEMPLATE, Scene, cut, finders, view_of


def known(_, points):
    return points


@pytest.fixture
def scene(collins, detector):
    return Scene(collins, detector.detect(collins)[0].landmarks.points)


def test_where_a_cut_photo_has_pixels_its_crop_is_that_of_the_whole(scene):
    tight = cut(scene, np.array([56.0, 70.0, 90.0]))
    whole, view = view_of(scene, known, "black"), view_of(tight, known, "black")
    middle = slice(40, 80)
    assert tight.photo.shape == (200, 200, 3)
    difference = np.abs(whole.pixels[middle, middle].astype(int) - view.pixels[middle, middle])
    assert difference.mean() < 3  # it was resampled twice
    assert not view.pixels[:20].any()


def test_the_share_inside_is_that_of_the_cut(scene):
    turned = np.degrees(np.arctan2(*similarity_transform(scene.points, TEMPLATE)[::-1, 0]))
    assert abs(turned) < 10
    view = view_of(cut(scene, np.array([55.5, 55.5, 56.0])), known, "black")
    assert view.inside == pytest.approx(0.25, abs=0.01)
    assert view.off == 0


def test_a_border_is_what_lies_beyond_the_photo(scene):
    tight = cut(scene, np.array([56.0, 70.0, 80.0]))
    corners = {border: view_of(tight, known, border).pixels[0, 0] for border in ("black", "grey", "replicated")}
    assert (corners["black"].tolist(), corners["grey"].tolist()) == ([0, 0, 0], [127, 127, 127])
    assert corners["replicated"].any()


def test_the_second_look_and_padding_find_landmarks_where_facenet_pytorch_does_not(scene, models_dir):
    tight = cut(scene, np.array([56.0, 72.0, 85.0]))
    off = {name: view_of(tight, finder, "black").off for name, finder in finders(models_dir).items()}
    assert off["known"] == 0
    assert off["second look"] < 3
    assert off["photo padded, black"] < 3
    assert off["facenet-pytorch's"] > 5
