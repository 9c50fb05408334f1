"""Crops by the detector's box, against facenet-pytorch 2.6.0's `extract_face`."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from app.domain.arrays import Pixels
from app.domain.faces import AlignedCrop, Box, Face, Landmarks
from app.faces.alignment import ARCFACE_112, BoxAligner, LandmarkAligner, arcface_template, open_aligner
from app.faces.detector.mtcnn import Mtcnn
from app.faces.quality import assess
from app.inference.manifest import BoxAlignment, LandmarkAlignment
from tests.support.facenet_pytorch import package
from tests.support.networks import manifest_of

PLACES = st.floats(-100, 700, width=32)
SIDES = st.floats(2, 400, width=32)


def face_in(box: Box) -> Face:
    return Face(box, Landmarks(np.zeros((5, 2), np.float32)), 1.0)


def cut(image: Pixels, box: Box, size: int = 160, margin: int = 14) -> AlignedCrop:
    return BoxAligner(size, margin).align(image, face_in(box))


def extracted(image: Pixels, box: Box, size: int, margin: int) -> Pixels:
    """Return facenet-pytorch's crop of a Pillow image, as in its documentation."""
    corners = np.array([box.left, box.top, box.right, box.bottom])
    extract_face = package().models.mtcnn.extract_face
    planes = extract_face(Image.fromarray(image), corners, size, margin).numpy()
    return np.asarray(planes.transpose(1, 2, 0), np.uint8)


@given(left=PLACES, top=PLACES, width=SIDES, height=SIDES, how=st.sampled_from([(160, 14), (160, 0), (64, 32)]))
def test_a_crop_is_the_one_that_facenet_pytorch_extracts(
    hopper: Pixels, left: float, top: float, width: float, height: float, how: tuple[int, int]
) -> None:
    box = Box(left, top, left + width, top + height)
    assume(left < 511 and top < 599 and box.right > 1 and box.bottom > 1)  # else facenet-pytorch has nothing to resize
    assert np.array_equal(cut(hopper, box, *how).pixels, extracted(hopper, box, *how))


def test_a_detected_face_is_cut_as_facenet_pytorch_cuts_it(detector: Mtcnn, hopper: Pixels, collins: Pixels) -> None:
    for photo in (hopper, collins):
        (face,) = detector.detect(photo)
        crop = BoxAligner(160, 14).align(photo, face)
        assert np.array_equal(crop.pixels, extracted(photo, face.box, 160, 14))
        assert crop.inside == 1


def test_half_of_the_margin_is_at_each_side_of_the_crop() -> None:
    photo = np.zeros((300, 300, 3), np.uint8)
    photo[100:200, 100:200] = 255
    crop = cut(photo, Box(100, 100, 200, 200), size=120, margin=20)
    assert (crop.pixels[12:-12, 12:-12] == 255).all()
    assert (crop.pixels[:8] == 0).all()
    assert (crop.pixels[:, -8:] == 0).all()


@pytest.mark.parametrize(
    ("box", "share"),
    [
        (Box(0, 0, 50, 50), 1),
        (Box(-50, 0, 50, 50), 0.5),
        (Box(250, 150, 350, 250), 0.25),
        (Box(300, 0, 350, 50), 0),
        (Box(-90, -90, -10, -10), 0),
        (Box(20, 20, 20, 40), 0),
    ],
)
def test_the_share_inside_is_that_of_the_box_with_its_margin(box: Box, share: float) -> None:
    crop = cut(np.full((200, 300, 3), 255, np.uint8), box, margin=0)
    assert crop.inside == pytest.approx(share)
    assert crop.pixels.max() == (255 if share else 0)


@given(left=PLACES, top=PLACES, width=st.floats(0, 400), height=st.floats(0, 400))
def test_any_box_gives_a_crop_and_a_share(hopper: Pixels, left: float, top: float, width: float, height: float) -> None:
    crop = cut(hopper, Box(left, top, left + width, top + height))
    assert crop.pixels.shape == (160, 160, 3)
    assert crop.pixels.dtype == np.uint8
    assert 0 <= crop.inside <= 1


def test_a_face_is_as_good_by_its_box_as_by_its_landmarks(detector: Mtcnn, hopper: Pixels) -> None:
    (face,) = detector.detect(hopper)
    by_box = assess(face, BoxAligner(160, 14).align(hopper, face))
    by_landmarks = assess(face, LandmarkAligner().align(hopper, face))
    assert by_box.sharpness == pytest.approx(by_landmarks.sharpness, abs=0.15)
    assert (by_box.size, by_box.frontality) == (by_landmarks.size, by_landmarks.frontality)


@pytest.mark.parametrize(
    ("alignment", "size", "kind"),
    [
        (LandmarkAlignment(template=ARCFACE_112), 112, LandmarkAligner),
        (LandmarkAlignment(template=arcface_template(160)), 160, LandmarkAligner),
        (BoxAlignment(margin=14), 160, BoxAligner),
    ],
)
def test_the_manifest_decides_how_faces_are_aligned(
    detector: Mtcnn, hopper: Pixels, alignment: LandmarkAlignment | BoxAlignment, size: int, kind: type
) -> None:
    aligner = open_aligner(manifest_of(b"", size).model_copy(update={"alignment": alignment}))
    assert isinstance(aligner, kind)
    assert aligner.align(hopper, detector.detect(hopper)[0]).pixels.shape == (size, size, 3)


def test_a_template_of_another_size_shows_the_same_face(detector: Mtcnn, hopper: Pixels) -> None:
    face = detector.detect(hopper)[0]
    small = LandmarkAligner().align(hopper, face).pixels
    large = LandmarkAligner(arcface_template(224), 224).align(hopper, face).pixels
    halved = np.asarray(Image.fromarray(large).reduce(2), np.float32)
    assert np.abs(halved - small).mean() < 8
