"""An image that is too large is refused by its header: no pixel is decoded, and no memory is allocated for one."""

import subprocess
import sys
import tracemalloc
import warnings
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import simplejpeg
from PIL import Image
from PIL import _imaging as core
from PIL.ImageFile import ImageFile

from app.domain.errors import ImageTooLarge, InvalidImage
from app.images.decode import ImageLimits, decode
from app.images.png import MAX_CHUNKS
from tests.support.encoding import (
    bmp_header,
    encoded,
    gif_header,
    jpeg_header,
    png_chunk,
    png_header,
    ppm_header,
    tiff_header,
    webp_header,
)

SIDE = 30_000
MIB = 2**20
HEADERS = [png_header, jpeg_header, bmp_header, gif_header, tiff_header, ppm_header]
KINDS = ["JPEG", "PNG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "AVIF", "HEIF", "JPEG2000", "PPM"]


class Memory:
    """Measures what Python, NumPy and Pillow allocate while it is open."""

    def __enter__(self) -> "Memory":
        Image.init()  # plugins create images as they are loaded
        tracemalloc.start()
        core.reset_stats()
        return self

    def __exit__(self, *_: object) -> None:
        self.images = core.get_stats()["new_count"]
        self.peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()


@pytest.mark.parametrize("data", [*(header(SIDE, SIDE) for header in HEADERS), webp_header(16383, 16383)])
def test_a_header_of_too_many_pixels_is_refused_before_a_pixel_is_decoded(data: bytes) -> None:
    with Memory() as memory, pytest.raises(ImageTooLarge):
        decode(data, ImageLimits())
    assert memory.images == 0
    assert memory.peak < MIB


@pytest.mark.parametrize("kind", KINDS)
def test_no_decoder_is_called_for_too_many_pixels(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda *_: pytest.fail("decoded by simplejpeg"))
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded by OpenCV"))
    monkeypatch.setattr(ImageFile, "load", lambda *_: pytest.fail("decoded by Pillow"))
    with pytest.raises(ImageTooLarge, match="expected at most 999 pixels, got 40 x 25"):
        decode(encoded(Image.new("RGB", (40, 25)), kind), ImageLimits(max_pixels=999))


def test_the_memory_of_a_real_decode_is_measured() -> None:
    photo = encoded(Image.new("P", (1000, 1000)), "PNG")  # decoded by Pillow
    with Memory() as memory:
        decode(photo, ImageLimits())
    assert memory.images > 0
    assert memory.peak > 2 * MIB


@pytest.mark.parametrize("header", [png_header, bmp_header, tiff_header, ppm_header])
def test_the_same_header_within_the_limits_is_decoded_and_found_broken(header: Callable[[int, int], bytes]) -> None:
    with pytest.raises(InvalidImage, match="broken"):
        decode(header(600, 600), ImageLimits())


def test_ten_mebibytes_and_forty_megapixels_are_accepted_by_default() -> None:
    assert ImageLimits() == ImageLimits(max_bytes=10 * MIB, max_pixels=40_000_000)


def test_the_limits_are_inclusive_and_that_on_bytes_is_checked_first() -> None:
    photo = encoded(Image.new("L", (40, 25)), "PNG")
    assert decode(photo, ImageLimits(max_pixels=1000)).shape == (25, 40, 3)  # 999 are refused above
    assert decode(photo, ImageLimits(max_bytes=len(photo))).shape == (25, 40, 3)
    with pytest.raises(ImageTooLarge, match=f"expected at most {len(photo) - 1} bytes, got {len(photo)}"):
        decode(photo, ImageLimits(max_bytes=len(photo) - 1))
    with pytest.raises(ImageTooLarge, match="bytes"):
        decode(b"no image at all", ImageLimits(max_bytes=3))


@pytest.mark.parametrize("side", [6_400, 10_000, 14_000])
def test_the_limit_holds_with_and_without_the_warnings_of_pillow_as_errors(side: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ImageTooLarge):
            decode(png_header(side, side), ImageLimits())
    with pytest.raises(ImageTooLarge):
        decode(png_header(side, side), ImageLimits())


def test_only_the_first_frame_of_an_animation_is_decoded() -> None:
    frames = [Image.new("L", (200, 200), shade) for shade in np.tile([0, 250], 500).tolist()]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    with Memory() as memory:
        first = decode(data, ImageLimits())
    assert (first == 0).all()
    assert memory.images < 10


PEAK_OF_DECODING = """
import contextlib, re, sys
from pathlib import Path
from app.domain.errors import InvalidImage
from app.images.decode import ImageLimits, decode
with contextlib.suppress(InvalidImage):
    decode(sys.stdin.buffer.read(), ImageLimits())
status = Path("/proc/self/status").read_text()  # unlike getrusage, it does not count what the parent had before exec
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("before", [0, MAX_CHUNKS + 1])
def test_a_chunk_that_claims_a_gigabyte_gets_none(depth: type[np.uint8 | np.uint16], before: int) -> None:
    """OpenCV allocates what a chunk claims, which no Python tool sees: so the process is measured."""
    png = cv2.imencode(".png", np.zeros((64, 64, 3), depth))[1].tobytes()
    pixels = png.index(b"IDAT") - 4
    data = png[:33] + png_chunk(b"teSt") * before + (2**30).to_bytes(4, "big") + png[pixels + 4 :]
    done = subprocess.run([sys.executable, "-c", PEAK_OF_DECODING], input=data, capture_output=True, check=True)
    assert int(done.stdout) < 500  # MiB
