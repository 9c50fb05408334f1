"""The service's own way of looking finds whom facenet-pytorch's finds."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.domain.nouns import Face, Pixels
from app.faces.mtcnn.cascade import SERVED, CascadeOptions, Mtcnn, looking_from
from app.faces.mtcnn.nets import OutputNet, ProposalNet, RefineNet
from app.images.decoding import ImageLimits, decode
from training.evaluation.detection_recall import intersection_over_union

Nets = tuple[ProposalNet, RefineNet, OutputNet]
DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
THEIRS = CascadeOptions(min_face=SERVED.min_face)
needs_photos = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no {DATA}: the real photos are not part of the repository"
)


def real(folder: str, every: int) -> list[Pixels]:
    return [decode(path.read_bytes(), ImageLimits()) for path in sorted((DATA / folder).rglob("*.jpg"))[::every]]


@needs_photos
@pytest.mark.parametrize(("folder", "every"), [("lfw_dev", 20), ("loose_faces", 5)])
def test_who_is_found_by_theirs_is_found(nets: Nets, folder: str, every: int) -> None:
    ours, theirs = Mtcnn(*nets, SERVED), Mtcnn(*nets, THEIRS)
    photos = real(folder, every)
    lost = [number for number, photo in enumerate(photos) if not has(ours.detect(photo), theirs.detect(photo)[:1])]
    assert len(photos) > 80
    assert len(lost) <= len(photos) // 50, lost


def filling(side: int) -> list[Pixels]:
    """Portraits cut at the face, of that many pixels."""
    photos = [cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA) for photo in real("cohorts_utk", 10)]
    return [np.asarray(photo, np.uint8) for photo in photos]


def without_a_face(photos: list[Pixels], detector: Mtcnn) -> int:
    return sum(not detector.detect(photo) for photo in photos)


@needs_photos
@pytest.mark.parametrize("side", [58, 110, 126, 134, 184, 200, 250])
def test_a_face_that_fills_the_photo_is_found_whatever_the_size(nets: Nets, side: int) -> None:
    photos = filling(side)
    assert len(photos) > 130
    assert without_a_face(photos, Mtcnn(*nets, SERVED)) <= 1


@needs_photos
def test_where_levels_are_far_apart_such_faces_need_the_last_one(nets: Nets) -> None:
    coarse, photos = replace(SERVED, factor=0.6), filling(110)  # between two levels
    lost = without_a_face(photos, Mtcnn(*nets, replace(coarse, to_the_last=False)))
    assert lost > 5
    assert without_a_face(photos, Mtcnn(*nets, coarse)) <= 2


def test_both_of_two_people_are_found(nets: Nets, hopper: Pixels, collins: Pixels) -> None:
    photo = np.hstack([hopper[:512], collins])
    assert has(Mtcnn(*nets, SERVED).detect(photo), Mtcnn(*nets, THEIRS).detect(photo))


def test_a_smallest_face_that_is_named_is_looked_for_in_their_way() -> None:
    assert looking_from(None) is SERVED
    assert looking_from(20) == CascadeOptions()
    assert looking_from(64) == CascadeOptions(min_face=64)


def has(found: list[Face], wanted: list[Face]) -> bool:
    return all(any(intersection_over_union(face.box, each.box) > 0.5 for each in found) for face in wanted)
