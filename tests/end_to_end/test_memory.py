"""What a server of its own holds of the machine's memory: at rest, while it works on a huge photo, and after many."""

import time
from collections.abc import Callable, Iterator
from functools import cache

import httpx2
import numpy as np
import pytest
from PIL import Image

from .likeness import Likeness, at_once
from .photos import collins, encoded, hopper, jpeg, scaled
from .server import MIB, Server

AT_REST = 600_000_000
HUGE = (8000, 5000)
WHILE_HUGE = 420 * MIB
"""More than at rest: it takes 290, and would take 880 were it looked at as it is and converted at once."""
KEPT = 1.1
"""What stays after photos of every size, against what stayed after the first of them."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("memory") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def likeness(server: Server) -> Iterator[Likeness]:
    with httpx2.Client(base_url=server.url, timeout=30) as client:
        yield Likeness(client)


def at_rest(server: Server) -> int:
    time.sleep(0.3)
    return server.resident()


@cache
def crowd() -> Image.Image:
    """40 megapixels of Grace Hopper."""
    tile = np.asarray(hopper())
    rows, columns = -(-HUGE[1] // tile.shape[0]), -(-HUGE[0] // tile.shape[1])
    return Image.fromarray(np.tile(tile, (rows, columns, 1))[: HUGE[1], : HUGE[0]])


def turned_jpeg() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(crowd(), "JPEG", quality=60, exif=exif)


def transparent_png() -> bytes:
    return encoded(Image.new("RGBA", HUGE, (1, 2, 3, 99)), "PNG", compress_level=1)


def deep_png() -> bytes:
    return encoded(Image.fromarray(np.full(HUGE[::-1], 300, np.uint16)), "PNG", compress_level=1)


def test_at_rest_it_holds_less_than_600_mb(server):
    assert server.resident() < AT_REST


@pytest.mark.parametrize("photo", [turned_jpeg, transparent_png, deep_png])
def test_a_photo_of_40_megapixels_takes_a_few_times_its_pixels(server, likeness, photo: Callable[[], bytes]):
    data, before = photo(), at_rest(server)
    server.forget_peak()
    response = likeness.detect(data)
    assert response.status_code == 200, response.text
    assert server.peak() - before < WHILE_HUGE


def test_photos_of_every_size_leave_nothing_behind(server, likeness):
    photos = [jpeg(scaled(side(), factor)) for side in (hopper, collins) for factor in np.geomspace(0.5, 5, 6)]
    ask = [lambda photo=photo: likeness.detect(photo) for photo in photos]
    at_once(ask, workers=4)
    after_first = at_rest(server)
    for _ in range(2):
        at_once(ask[::-1], workers=4)
    assert at_rest(server) < KEPT * after_first
