"""The memory of a server: at rest, during a huge photo, and after many photos; huge images are refused undecoded."""

import time
from collections.abc import Callable, Iterator
from functools import cache, partial

import numpy as np
import pytest
from PIL import Image

from tests.support.api import Api, at_once
from tests.support.encoding import bmp_header, encoded, exif, gif_header, jpeg_header, png_header
from tests.support.hostile import SIDE, huge_png
from tests.support.photos import collins, hopper, jpeg, scaled
from tests.support.server import MIB, Server

AT_REST = 600_000_000
HUGE = (8000, 5000)
WHILE_HUGE = 420 * MIB
"""More than at rest: it takes 290, and would take 880 if it were searched at full size and converted at once."""
KEPT = 1.1
"""Memory after photos of every size, as a ratio to the memory after the first of them."""
UNDECODED = {
    "PNG header": png_header(SIDE, SIDE),
    "PNG": huge_png(),
    "JPEG header": jpeg_header(SIDE, SIDE),
    "BMP header": bmp_header(SIDE, SIDE),
    "GIF header": gif_header(SIDE, SIDE),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("memory") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def api(server: Server) -> Iterator[Api]:
    with Api.of(server) as client:
        yield client


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
    return encoded(crowd(), "JPEG", quality=60, exif=exif(6))


def transparent_png() -> bytes:
    return encoded(Image.new("RGBA", HUGE, (1, 2, 3, 99)), "PNG", compress_level=1)


def deep_png() -> bytes:
    return encoded(Image.fromarray(np.full(HUGE[::-1], 300, np.uint16)), "PNG", compress_level=1)


def test_at_rest_it_holds_less_than_600_mb(server: Server) -> None:
    assert server.resident() < AT_REST


@pytest.mark.parametrize("photo", [turned_jpeg, transparent_png, deep_png])
def test_a_photo_of_40_megapixels_takes_a_few_times_its_pixels(
    server: Server, api: Api, photo: Callable[[], bytes]
) -> None:
    data, before = photo(), at_rest(server)
    server.forget_peak()
    response = api.detect(data)
    assert response.status_code == 200, response.text
    assert server.peak() - before < WHILE_HUGE


@pytest.mark.parametrize("kind", UNDECODED)
def test_an_image_of_30000_by_30000_pixels_is_refused_undecoded(server: Server, api: Api, kind: str) -> None:
    before = at_rest(server)
    server.forget_peak()
    assert api.detect(UNDECODED[kind]).status_code in {413, 422}
    assert server.peak() - before < 300 * MIB


def test_photos_of_every_size_leave_nothing_behind(server: Server, api: Api) -> None:
    photos = [jpeg(scaled(side(), factor)) for side in (hopper, collins) for factor in np.geomspace(0.5, 5, 6)]
    ask = [partial(api.detect, photo) for photo in photos]
    at_once(ask, workers=4)
    after_first = at_rest(server)
    for _ in range(2):
        at_once(ask[::-1], workers=4)
    assert at_rest(server) < KEPT * after_first
