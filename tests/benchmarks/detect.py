"""MTCNN against facenet-pytorch's: with equal boxes, and as it is served."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from app.bootstrap.models import DETECTOR, open_models
from app.domain.arrays import Floats, Pixels
from app.domain.faces import Face
from app.domain.ports import Detector
from app.faces.detector.mtcnn import CascadeOptions, load_mtcnn
from app.settings import Settings
from tests.benchmarks import peers, photos
from tests.benchmarks.cores import one_core
from tests.benchmarks.measure import Contestant, Effort, race
from tests.benchmarks.report import Row, at_least, at_most, versus
from tests.support.server import REPOSITORY

MODELS = REPOSITORY / "models"
SPEEDUPS = {20: 3.5, 40: 5.0, 80: 6.0}
"""Wanted of parity mode, by min_face."""
SERVED_SPEEDUP = 9.0
PEER = "facenet-pytorch"
NOTE = (
    "facenet-pytorch's non-maximum suppression runs in ONNX Runtime's C++ kernel, because torchvision has no CPU build "
    "for this torch. min_face 20 is 20.8 px in photos of more than 2.8 megapixels, for both."
)


def rows(effort: Effort) -> Iterator[Row]:
    with one_core():
        for min_face, wanted in SPEEDUPS.items():
            options = CascadeOptions(min_face=min_face, refine_landmarks=False)
            yield parity(options)
            for name, photo in photos.to_detect().items():
                yield speed(f"parity, min_face {min_face}: {name}", photo, *both(options, photo), wanted, effort)
        yield from served(effort)


def served(effort: Effort) -> Iterator[Row]:
    ours = open_models(Settings(models_dir=MODELS, provider="cpu", _env_file=None)).detector
    for name, photo in photos.to_detect().items():
        yield speed(f"as served: {name}", photo, ours, peers.detector(), SERVED_SPEEDUP, effort)


def both(options: CascadeOptions, photo: Pixels) -> tuple[Detector, Callable[[Pixels], Floats]]:
    ours = load_mtcnn(MODELS / DETECTOR, options, provider="cpu")
    return ours, peers.detector(options.min_face_in(*photo.shape[:2]))


def parity(options: CascadeOptions) -> Row:
    found = [compare(photo, *both(options, photo)) for photo in photos.to_detect().values()]
    case = f"parity, min_face {options.min_face:g}: boxes of {sum(faces for faces, _ in found)} faces"
    most = max(difference for _, difference in found)
    return Row("MTCNN", case, most, "px", "apart at most", at_most(0.01), peer=PEER)


def compare(photo: Pixels, ours: Detector, theirs: Callable[[Pixels], Floats]) -> tuple[int, float]:
    """Return the number of faces of the peer, and the largest difference of a side; infinite if the numbers differ."""
    got, wanted = boxes_of(ours.detect(photo)), theirs(photo)
    if got.shape != wanted.shape:
        return len(wanted), float("inf")
    return len(wanted), float(np.abs(got - wanted).max(initial=0))


def boxes_of(faces: list[Face]) -> Floats:
    rows = [[face.box.left, face.box.top, face.box.right, face.box.bottom] for face in faces]
    return np.array(rows, np.float32).reshape(-1, 4)


def speed(
    case: str, photo: Pixels, ours: Detector, theirs: Callable[[Pixels], Floats], wanted: float, effort: Effort
) -> Row:
    laps = race(
        {"ours": Contestant(partial(ours.detect, photo)), PEER: Contestant(partial(theirs, photo))}, effort.pace
    )
    return versus("MTCNN", case, laps, PEER, target=at_least(wanted), note=NOTE)
