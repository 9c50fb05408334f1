"""What is too large is refused by its header: no pixel is decoded, and none is allocated."""

import tracemalloc
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from app.domain.errors import ImageTooLarge, InvalidImage
from app.images.decoding import ImageLimits, decode
from tests.support.encoding import (
    bmp_header,
    encoded,
    gif_header,
    jpeg_header,
    png_header,
    ppm_header,
    tiff_header,
    webp_header,
)

SIDE = 30_000
MIB = 2**20
HEADERS = [png_header, jpeg_header, bmp_header, gif_header, tiff_header, ppm_header]


class Memory:
    """What Python, NumPy and Pillow set aside while it is open."""

    def __enter__(self) -> "Memory":
        Image.init()  # plugins make images of their own as they load
        tracemalloc.start()
        Image.core.reset_stats()
        return self

    def __exit__(self, *_: object) -> None:
        self.images = Image.core.get_stats()["new_count"]
        self.peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_of_30000_by_30000_pixels_is_refused_before_a_pixel_is_decoded(
    header: Callable[[int, int], bytes],
) -> None:
    data = header(SIDE, SIDE)

    with Memory() as memory, pytest.raises(ImageTooLarge):
        decode(data, ImageLimits())

    assert memory.images == 0
    assert memory.peak < MIB


def test_a_webp_as_large_as_webp_can_be_is_refused() -> None:
    data = webp_header(16383, 16383)

    with Memory() as memory, pytest.raises(ImageTooLarge):
        decode(data, ImageLimits())

    assert memory.images == 0
    assert memory.peak < MIB


def test_the_measure_of_memory_sees_what_a_real_decode_takes() -> None:
    photo = encoded(Image.new("P", (1000, 1000)), "PNG")  # by Pillow

    with Memory() as memory:
        decode(photo, ImageLimits())

    assert memory.images > 0
    assert memory.peak > 2 * MIB


@pytest.mark.parametrize("header", [png_header, bmp_header, tiff_header, ppm_header])
def test_the_same_header_within_the_limits_is_decoded_and_found_broken(header: Callable[[int, int], bytes]) -> None:
    with pytest.raises(InvalidImage, match="broken"):
        decode(header(600, 600), ImageLimits())


def test_ten_mebibytes_and_forty_megapixels_are_accepted_unless_said_otherwise() -> None:
    assert ImageLimits() == ImageLimits(max_bytes=10 * MIB, max_pixels=40_000_000)


def test_the_limit_on_pixels_is_inclusive() -> None:
    photo = encoded(Image.new("L", (40, 25)), "PNG")

    assert decode(photo, ImageLimits(max_pixels=1000)).shape == (25, 40, 3)
    with pytest.raises(ImageTooLarge, match="want at most 999 pixels, got 40 x 25"):
        decode(photo, ImageLimits(max_pixels=999))


def test_the_limit_on_bytes_is_inclusive_and_looked_at_first() -> None:
    photo = encoded(Image.new("L", (40, 25)), "PNG")

    assert decode(photo, ImageLimits(max_bytes=len(photo))).shape == (25, 40, 3)
    with pytest.raises(ImageTooLarge, match=f"want at most {len(photo) - 1} bytes, got {len(photo)}"):
        decode(photo, ImageLimits(max_bytes=len(photo) - 1))
    with pytest.raises(ImageTooLarge, match="bytes"):
        decode(b"no image at all", ImageLimits(max_bytes=3))


@pytest.mark.parametrize("side", [6_400, 10_000, 14_000])
def test_the_limit_holds_whether_or_not_pillow_has_a_remark_of_its_own(side: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ImageTooLarge):
            decode(png_header(side, side), ImageLimits())

    with pytest.raises(ImageTooLarge):
        decode(png_header(side, side), ImageLimits())


def test_of_an_animation_of_a_thousand_frames_only_the_first_is_decoded() -> None:
    frames = [Image.new("L", (200, 200), shade) for shade in np.tile([0, 250], 500).tolist()]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])

    with Memory() as memory:
        first = decode(data, ImageLimits())

    assert (first == 0).all()
    assert memory.images < 10
