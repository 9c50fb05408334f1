"""The largest accepted photo, 40 megapixels with 300 faces, is processed in bounded time."""

import time

import numpy as np
from PIL import Image

from app.domain.arrays import Pixels
from app.faces.alignment import LandmarkAligner
from app.faces.detector.mtcnn import Mtcnn
from app.images.decode import ImageLimits
from app.pipeline import FacePipeline
from tests.support.encoding import encoded

FACES, COLUMNS, TILE = 300, 20, (400, 333)
SECONDS = 20.0  # of CPU time; it took 3.4 s on a shared machine


def crowd(*people: Pixels) -> bytes:
    tiles = [np.asarray(Image.fromarray(person).resize(TILE)) for person in people]
    rows = [np.hstack([tiles[(row + column) % 2] for column in range(COLUMNS)]) for row in range(FACES // COLUMNS)]
    return encoded(Image.fromarray(np.vstack(rows)), "JPEG", quality=80)


def test_crowd_is_processed_in_bounded_cpu_time(detector: Mtcnn, hopper: Pixels, collins: Pixels) -> None:
    pipeline = FacePipeline(detector, LandmarkAligner(), ImageLimits())
    data = crowd(hopper, collins)
    started = time.process_time()
    photo = pipeline.read(data, "all")

    assert time.process_time() - started < SECONDS
    assert photo.width * photo.height > 39_000_000
    assert photo.faces_found >= 0.95 * FACES
    assert len(photo.faces) == photo.faces_found
