"""A photo full of faces, and a huge photo, take bounded time and memory."""

import time
import tracemalloc

import numpy as np
import pytest

from app.domain.models import Pixels
from app.faces.detector.mtcnn import CascadeOptions, Mtcnn
from app.faces.detector.nets import OutputNet, ProposalNet, RefineNet
from tests.support.stages import OneCell, Sure, SureOutput

Nets = tuple[ProposalNet, RefineNet, OutputNet]


@pytest.fixture(scope="module")
def crowd(collins: Pixels) -> Pixels:
    """Return eight by eight copies of a face, 120 px each."""
    return np.tile(collins[60:180:1, 165:285:1], (8, 8, 1))


def test_every_face_of_a_crowd_is_found(nets: Nets, crowd: Pixels) -> None:
    assert len(Mtcnn(*nets).detect(crowd)) == 64


def test_the_most_probable_of_too_many_candidates_are_kept(nets: Nets, crowd: Pixels) -> None:
    few = Mtcnn(*nets, CascadeOptions(max_candidates=20)).detect(crowd)
    assert 0 < len(few) <= 20
    assert min(face.confidence for face in few) > 0.9


def test_a_wall_of_tiny_faces_takes_seconds(nets: Nets, collins: Pixels) -> None:
    face = collins[60:174:4, 180:270:4]
    wall = np.tile(face, (55, 68, 1))
    start = time.process_time()
    found = Mtcnn(*nets).detect(wall)
    assert time.process_time() - start < 20
    assert len(found) <= CascadeOptions().max_candidates


@pytest.mark.parametrize(("size", "most"), [((3000, 3700), 21), ((3024, 4032), 7), ((5000, 8000), 4)])
def test_a_huge_photo_takes_few_bytes_per_pixel(size: tuple[int, int], most: float) -> None:
    photo = np.zeros((*size, 3), np.uint8)
    detector = Mtcnn(OneCell(0, 0, 0, 0), Sure(), SureOutput())
    tracemalloc.start()
    detector.detect(photo)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < most * size[0] * size[1]
