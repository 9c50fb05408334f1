"""A photo that takes long gets its answer or 504 in time, and its thread is free for the next one."""

from collections.abc import Iterator
from functools import cache, partial

import pytest
from PIL import Image

from tests.support.answers import answered, problem
from tests.support.api import Api, at_once
from tests.support.background import submit
from tests.support.clock import unhurried
from tests.support.photos import COLLINS, HOPPER, collins, hopper, jpeg, shared
from tests.support.server import Server

COLUMNS, TILE = 20, (400, 333)
FREE_AGAIN = 8.0
"""Seconds: what cannot be interrupted is one decoding of a photo, or one run of a network."""


@cache
def crowd(faces: int) -> bytes:
    """Return a photo of that many faces; 300 are 40 megapixels."""
    tiles = [person.resize(TILE) for person in (hopper(), collins())]
    canvas = Image.new("RGB", (COLUMNS * TILE[0], faces // COLUMNS * TILE[1]))
    for number in range(faces):
        row, column = divmod(number, COLUMNS)
        canvas.paste(tiles[(row + column) % 2], (column * TILE[0], row * TILE[1]))
    return jpeg(canvas, quality=80)


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A server with one thread for photos and a short deadline."""
    settings = {"LIKENESS_DEADLINE": "0.7", "LIKENESS_PHOTO_THREADS": "1"}
    with Server(tmp_path_factory.mktemp("hasty") / "data", **settings) as running, Api.of(running) as api:
        yield api


def test_past_its_deadline_a_photo_has_504_and_lets_its_thread_go(hasty: Api) -> None:
    data = crowd(300)
    began = unhurried()
    responses = at_once([partial(hasty.detect, data)] * 3)
    assert unhurried() - began < 4
    for response in responses:
        problem(response, 504, "deadline_exceeded")
    began = unhurried()
    while (response := hasty.detect(HOPPER)).status_code in {503, 504}:
        assert unhurried() - began < FREE_AGAIN
    assert len(answered(response)["faces"]) == 1


def test_others_are_answered_while_the_faces_of_a_crowd_are_embedded(api: Api) -> None:
    pairs = 0
    embedding = submit(partial(api.embed, crowd(100), faces="all"))
    while not embedding.done():
        answered(api.verify(HOPPER, COLLINS))
        pairs += 1
    (result,) = answered(embedding.result())["results"]
    assert len(result["faces"]) >= 95
    assert pairs > 1


def test_the_slowest_of_the_odd_images_is_answered_within_the_deadline(api: Api) -> None:
    answered(api.detect((shared("odd_images") / "g4-multi.tiff").read_bytes()))
