"""A JPEG whose head says nothing of its orientation does without Pillow; what any other says is still read."""

import io

import numpy as np
import pytest
from PIL import Image

from app.domain.errors import ImageTooLarge, InvalidImage
from app.domain.nouns import Pixels
from app.images import decoding
from app.images.decoding import ImageLimits, decode


def jpeg(photo: Pixels, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(photo).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def by_pillow(data: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.fixture
def without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(data: bytes) -> Image.Image:
        raise AssertionError(f"{len(data)} bytes reached Pillow")

    monkeypatch.setattr(decoding, "_open", refused)


@pytest.mark.usefixtures("without_pillow")
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"comment": b"a comment"}, {"icc_profile": b"p" * 90_000}]
)
def test_plain_ones_are_read_without_pillow(collins: Pixels, mode: str, options: dict[str, object]) -> None:
    data = jpeg(collins, mode, **options)
    assert np.abs(decode(data, ImageLimits()).astype(int) - by_pillow(data)).max() <= 2


@pytest.mark.usefixtures("without_pillow")
def test_their_limits_hold_before_a_pixel_is_decoded(collins: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding.simplejpeg, "decode_jpeg", None)
    with pytest.raises(ImageTooLarge, match="512 x 512"):
        decode(jpeg(collins), ImageLimits(max_pixels=512 * 512 - 1))


def test_an_orientation_is_not_overlooked(collins: Pixels) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = decode(jpeg(collins, exif=exif), ImageLimits())
    assert np.array_equal(turned, np.rot90(decode(jpeg(collins), ImageLimits()), -1))


@pytest.mark.parametrize("filler", [b"\xff", b"\xff\xff\xff"])
def test_bytes_that_fill_up_before_a_part_hide_nothing(collins: Pixels, filler: bytes) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    data = jpeg(collins, exif=exif)
    place = data.index(b"\xff\xe1")
    filled = data[:place] + filler + data[place:]
    assert np.array_equal(decode(filled, ImageLimits()), decode(data, ImageLimits()))


@pytest.mark.parametrize("length", [2, 3, 20, 100, 300])
def test_the_beginning_of_one_is_no_photo(collins: Pixels, length: int) -> None:
    with pytest.raises(InvalidImage):
        decode(jpeg(collins)[:length], ImageLimits())
