"""A photo that takes long gets its answer or 504 in time, and its thread is there for the next one."""

import time
from functools import cache

import pytest
from PIL import Image

from .contract import answered, problem
from .likeness import Likeness, at_once
from .operating import with_key
from .photos import collins, hopper, jpeg, shared
from .server import Server

COLUMNS, TILE = 20, (400, 333)
FREE_AGAIN = 8.0
"""Seconds: what cannot be interrupted is one decoding of a photo, or one run of a network."""


@cache
def crowd(faces):
    """A photo of so many; 300 are 40 megapixels."""
    tiles = [person.resize(TILE) for person in (hopper(), collins())]
    canvas = Image.new("RGB", (COLUMNS * TILE[0], faces // COLUMNS * TILE[1]))
    for number in range(faces):
        row, column = divmod(number, COLUMNS)
        canvas.paste(tiles[(row + column) % 2], (column * TILE[0], row * TILE[1]))
    return jpeg(canvas, quality=80)


@pytest.fixture(scope="module")
def hasty(tmp_path_factory):
    """One thread for photos, and little patience."""
    settings = {"LIKENESS_DEADLINE": "0.7", "LIKENESS_PHOTO_THREADS": "1"}
    with Server(tmp_path_factory.mktemp("hasty"), **settings) as running, with_key(running, "").http as http:
        yield Likeness(http)


def test_past_its_deadline_a_photo_has_504_and_lets_its_thread_go(hasty):
    data = crowd(300)
    began = time.monotonic()
    responses = at_once([lambda: hasty.detect(data)] * 3)
    assert time.monotonic() - began < 4
    for response in responses:
        problem(response, 504, "deadline_exceeded")
    began = time.monotonic()
    while (response := hasty.detect(jpeg(hopper()))).status_code in {503, 504}:
        assert time.monotonic() - began < FREE_AGAIN
    assert len(answered(response)["faces"]) == 1


def test_others_are_answered_while_the_faces_of_a_crowd_are_embedded(likeness):
    def pairs():
        """Until the crowd has its answer, and once at least."""
        while True:
            answered(likeness.verify(jpeg(hopper()), jpeg(collins())))
            yield
            if over:
                return

    def ask():
        try:
            return answered(likeness.embed(crowd(100), faces="all"))
        finally:
            over.append(True)

    over = []
    body, meanwhile = at_once([ask, lambda: len(list(pairs()))])
    (result,) = body["results"]
    assert len(result["faces"]) >= 95
    assert meanwhile > 1


def test_the_slowest_of_the_odd_images_is_answered_within_the_deadline(likeness):
    answered(likeness.detect((shared("odd_images") / "g4-multi.tiff").read_bytes()))
