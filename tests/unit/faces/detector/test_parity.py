"""
The detector finds the faces of facenet-pytorch 2.6.0 in the same order, with boxes and landmarks equal to 0.01 px; the
refined landmarks have tests of their own (tests/unit/faces/detector/test_refined_landmarks.py).
"""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from app.domain.arrays import Floats, Pixels
from app.faces.detector.mtcnn import CascadeOptions, Mtcnn
from app.faces.detector.nets import OutputNet, ProposalNet, RefineNet
from app.images.decode import ImageLimits, decode
from tests.support.facenet_pytorch import load_mtcnn

Nets = tuple[ProposalNet, RefineNet, OutputNet]
THEIRS = CascadeOptions()
COARSE = CascadeOptions(min_face=40, thresholds=(0.5, 0.6, 0.8))
OPTIONS = pytest.mark.parametrize("options", [THEIRS, COARSE], ids=["theirs", "coarse"])

DATA = Path(__file__).resolve().parents[5] / "shared" / "data"
PEOPLE: dict[str, Callable[[Pixels, Pixels], np.ndarray]] = {
    "Grace Hopper": lambda hopper, _: hopper,
    "Eileen Collins": lambda _, collins: collins,
    "both": lambda hopper, collins: np.hstack([hopper[:512], collins]),
    "small": lambda hopper, _: cv2.resize(hopper, (160, 190), interpolation=cv2.INTER_AREA),
    "tilted": lambda _, collins: cv2.warpAffine(collins, cv2.getRotationMatrix2D((225, 118), 30, 1), (512, 512)),
    "lying": lambda hopper, _: np.rot90(hopper),
    "a face that fills the photo": lambda hopper, _: hopper[120:344, 174:359],
    "half a face": lambda _, collins: collins[:, :225],
}
FACES = dict.fromkeys(PEOPLE, 1) | {"both": 2, "lying": 0, "half a face": 0}


@pytest.fixture(scope="module", autouse=True)
def one_torch_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def real_photos() -> list[Path]:
    """
    Return facenet-pytorch's photos; insightface's of at most half a megapixel (turned, tilted, masked, blurred, drawn,
    small, no face) and its group photo; every hundredth tight crop of UTKFace, where equal confidences are common.
    """
    photos = DATA / "photos"
    group = photos / "insightface/python-package/insightface/data/images/t1.jpg"
    mixed = [path for path in files(photos / "insightface") if pixels_of(path) <= 500_000]
    return [*files(photos / "facenet-pytorch"), group, *mixed, *files(DATA / "cohorts_utk")[::100]]


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in {".jpg", ".jpeg", ".png"})


def pixels_of(path: Path) -> int:
    with Image.open(path) as image:
        return image.width * image.height


@cache
def reference(options: CascadeOptions) -> Callable[[Pixels], Floats]:
    """Return facenet-pytorch's detector: every face (15,) as box, confidence and landmarks, largest first."""
    mtcnn = load_mtcnn(keep_all=True, thresholds=list(options.thresholds), factor=options.factor)

    def detect(photo: Pixels) -> Floats:
        mtcnn.min_face_size = options.min_face_in(*photo.shape[:2])
        boxes, confidences, landmarks = mtcnn.detect(photo, landmarks=True)
        if boxes is None:
            return np.empty((0, 15), np.float32)
        return np.hstack([boxes, confidences[:, None], landmarks.reshape(-1, 10)]).astype(np.float32)

    return detect


def found(detector: Mtcnn, photo: Pixels) -> Floats:
    rows = [
        [face.box.left, face.box.top, face.box.right, face.box.bottom, face.confidence, *face.landmarks.points.flat]
        for face in detector.detect(photo)
    ]
    return np.array(rows, np.float32).reshape(-1, 15)


@OPTIONS
@pytest.mark.parametrize("name", PEOPLE)
def test_people_are_found_where_facenet_pytorch_finds_them(
    nets: Nets, hopper: Pixels, collins: Pixels, name: str, options: CascadeOptions
) -> None:
    photo = np.ascontiguousarray(PEOPLE[name](hopper, collins), np.uint8)
    expected = reference(options)(photo)
    np.testing.assert_allclose(found(Mtcnn(*nets, options), photo), expected, rtol=0, atol=0.01)


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no {DATA}: the real photos are not part of the repository")
@pytest.mark.parametrize("path", real_photos(), ids=lambda path: str(path.relative_to(DATA)))
def test_real_photos_have_the_faces_that_facenet_pytorch_finds(nets: Nets, path: Path) -> None:
    photo = decode(path.read_bytes(), ImageLimits())
    expected = reference(THEIRS)(photo)
    np.testing.assert_allclose(found(Mtcnn(*nets, THEIRS), photo), expected, rtol=0, atol=0.01)


def test_the_compared_photos_have_the_expected_faces(nets: Nets, hopper: Pixels, collins: Pixels) -> None:
    detector = Mtcnn(*nets, THEIRS)
    photos = {name: np.ascontiguousarray(photo(hopper, collins), np.uint8) for name, photo in PEOPLE.items()}
    assert {name: len(found(detector, photo)) for name, photo in photos.items()} == FACES
