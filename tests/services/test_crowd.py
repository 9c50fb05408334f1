"""The most that one photo may ask for: 40 megapixels with 300 faces."""

import time

import numpy as np
from PIL import Image

from app.domain.models import Pixels
from app.faces.alignment import LandmarkAligner
from app.faces.detector.mtcnn import Mtcnn
from app.images.decode import ImageLimits
from app.pipeline import FacePipeline
from tests.support.encoding import encoded

FACES, COLUMNS, TILE = 300, 20, (400, 333)
SECONDS = 20.0  # of the processor: 3.4 where this was written, on a machine shared with others


def crowd(*people: Pixels) -> bytes:
    tiles = [np.asarray(Image.fromarray(person).resize(TILE)) for person in people]
    rows = [np.hstack([tiles[(row + column) % 2] for column in range(COLUMNS)]) for row in range(FACES // COLUMNS)]
    return encoded(Image.fromarray(np.vstack(rows)), "JPEG", quality=80)


def test_its_faces_are_found_in_a_time_that_is_bounded(detector: Mtcnn, hopper: Pixels, collins: Pixels) -> None:
    reader = FacePipeline(detector, LandmarkAligner(), ImageLimits())
    data = crowd(hopper, collins)
    began = time.process_time()
    photo = reader.read(data, "all")

    assert time.process_time() - began < SECONDS
    assert photo.width * photo.height > 39_000_000
    assert photo.faces_found >= 0.95 * FACES
    assert len(photo.faces) == photo.faces_found
