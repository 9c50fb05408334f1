"""With the service's options the same people are found as with facenet-pytorch's."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.domain.arrays import Pixels
from app.domain.faces import Face
from app.faces.detector.mtcnn import SERVING_OPTIONS, CascadeOptions, Mtcnn, cascade_options
from app.faces.detector.nets import OutputNet, ProposalNet, RefineNet
from app.faces.orientation import detect_upright
from app.images.decode import ImageLimits, decode
from training.evaluation.detection_recall import intersection_over_union

Nets = tuple[ProposalNet, RefineNet, OutputNet]
DATA = Path(__file__).resolve().parents[5] / "shared" / "data"
THEIRS = CascadeOptions(min_face=SERVING_OPTIONS.min_face)
needs_photos = pytest.mark.skipif(not DATA.is_dir(), reason=f"no {DATA}: the photos are not part of the repository")


@cache
def real(folder: str, every: int) -> list[Pixels]:
    return [decode(path.read_bytes(), ImageLimits()) for path in sorted((DATA / folder).rglob("*.jpg"))[::every]]


@pytest.mark.slow
@needs_photos
@pytest.mark.parametrize(("folder", "every"), [("lfw_dev", 20), ("loose_faces", 5)])
def test_people_found_with_their_options_are_found(nets: Nets, folder: str, every: int) -> None:
    ours, theirs = Mtcnn(*nets, SERVING_OPTIONS), Mtcnn(*nets, THEIRS)
    photos = real(folder, every)
    lost = [number for number, photo in enumerate(photos) if not has(ours.detect(photo), theirs.detect(photo)[:1])]
    assert len(photos) > 80
    assert len(lost) <= len(photos) // 50, lost


@pytest.mark.slow
@needs_photos
@pytest.mark.parametrize(("folder", "every"), [("loose_faces", 1), ("cohorts_utk", 10)])
def test_a_small_photo_has_a_face_where_their_smallest_face_of_20_px_finds_one(
    nets: Nets, folder: str, every: int
) -> None:
    ours, theirs, photos = Mtcnn(*nets, SERVING_OPTIONS), Mtcnn(*nets, CascadeOptions()), real(folder, every)
    lost = [number for number, photo in enumerate(photos) if not detect_upright(ours, photo, "auto")]
    assert len(photos) > 130
    assert [number for number in lost if theirs.detect(photos[number])] == []


def filling(side: int) -> list[Pixels]:
    """Return portraits cut tightly at the face, resized to `side` pixels."""
    photos = [cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA) for photo in real("cohorts_utk", 10)]
    return [np.asarray(photo, np.uint8) for photo in photos]


def without_a_face(photos: list[Pixels], detector: Mtcnn) -> int:
    return sum(not detector.detect(photo) for photo in photos)


@pytest.mark.slow
@needs_photos
@pytest.mark.parametrize("side", [58, 110, 126, 134, 184, 200, 250])
def test_a_face_that_fills_the_photo_is_found_whatever_the_size(nets: Nets, side: int) -> None:
    photos = filling(side)
    assert len(photos) > 130
    assert without_a_face(photos, Mtcnn(*nets, SERVING_OPTIONS)) <= 1


@pytest.mark.slow
@needs_photos
def test_if_levels_are_far_apart_such_faces_need_the_last_level(nets: Nets) -> None:
    coarse, photos = replace(SERVING_OPTIONS, factor=0.6), filling(110)  # between two levels
    lost = without_a_face(photos, Mtcnn(*nets, replace(coarse, include_last_level=False)))
    assert lost > 5
    assert without_a_face(photos, Mtcnn(*nets, coarse)) <= 2


def test_both_of_two_people_are_found(nets: Nets, hopper: Pixels, collins: Pixels) -> None:
    photo = np.hstack([hopper[:512], collins])
    assert has(Mtcnn(*nets, SERVING_OPTIONS).detect(photo), Mtcnn(*nets, THEIRS).detect(photo))


def test_a_given_smallest_face_uses_their_options() -> None:
    assert cascade_options(None) is SERVING_OPTIONS
    assert cascade_options(20) == CascadeOptions()
    assert cascade_options(64) == CascadeOptions(min_face=64)


def has(found: list[Face], wanted: list[Face]) -> bool:
    return all(any(intersection_over_union(face.box, each.box) > 0.5 for each in found) for face in wanted)
