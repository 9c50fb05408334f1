"""
Bytes to an upright 8-bit RGB photo, with limits that hold before a pixel is decoded.

How others do it, and what we chose: DeepFace and CompreFace hand the bytes to OpenCV, which ignores transparency and
16-bit ranges, guesses from a file name, or decodes whatever size the header claims; their users complain of turned
phone photos and of memory. Here the header is read (a fixed list of formats, by content; by Pillow but for the plainest
files), the limits are checked, and only then are pixels decoded: JPEG by simplejpeg (libjpeg-turbo), plain colour and
grey of the formats where it is faster by OpenCV, the rest, and what those two remark on, by Pillow.
"""

from __future__ import annotations

import io
import math
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from app.domain.errors import ImageTooLarge, InvalidImage, UnsupportedImage
from app.domain.models import Pixels
from app.images.jpeg import MOST_PARTS, by_simplejpeg, check_scans
from app.images.plain import PlainFile, by_opencv, recognised
from app.images.rgb import to_rgb

ACCEPTED = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "AVIF", "JPEG2000", "PPM")
_BY_OPENCV = ("PNG", "WEBP", "BMP", "PPM")  # where OpenCV decodes 8-bit colour and grey to the same bytes, and faster
_JPEG = ("JPEG", "MPO")  # MPO: the several pictures in one JPEG that phones write; the first is the photo
_REFUSED = {b"%PDF": "PDF", b"<svg": "SVG", b"<?xml": "SVG or XML"}  # beyond what Pillow itself can name
_BYTE_BY_BYTE = ("BMP", "DIB")  # how Pillow reads those that are run-length encoded
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"mif1", b"msf1")


@dataclass(frozen=True, slots=True)
class ImageLimits:
    max_bytes: int = 10 * 1024 * 1024
    max_pixels: int = 40_000_000


def decode(data: bytes, limits: ImageLimits) -> Pixels:
    """
    The photo as (H, W, 3) uint8 RGB: EXIF orientation applied, first frame of several, transparency over white.

    Raises ImageTooLarge, UnsupportedImage or InvalidImage.
    """
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(f"want at most {limits.max_bytes} bytes, got {len(data)}")
    if plain := recognised(data):
        _require_within(limits, plain.width, plain.height)
        if (pixels := _read(plain)) is not None:
            return pixels
    image = _open(data)
    _require_within(limits, *image.size)
    try:
        with image:
            decoder = _decode_any if plain else _decoder(image)
            return np.ascontiguousarray(decoder(data, image))
    except Exception as error:  # on broken data Pillow's decoders raise OSError, SyntaxError, struct.error and more
        raise InvalidImage(f"broken {image.format} image: {error}") from error


def _require_within(limits: ImageLimits, width: int, height: int) -> None:
    if width * height > limits.max_pixels:
        raise ImageTooLarge(f"want at most {limits.max_pixels} pixels, got {width} x {height}")


def _read(plain: PlainFile) -> Pixels | None:
    try:
        pixels = plain.read()
    except Exception:  # of which kind, is as with Pillow's decoders below; it tells what is broken
        return None
    return pixels if pixels is not None and pixels.shape[1::-1] == (plain.width, plain.height) else None


def _open(data: bytes) -> Image.Image:
    """The image with its header read and no pixel decoded."""
    file = _InParts(data)
    try:
        image = Image.open(file, formats=ACCEPTED)
        file.left = sys.maxsize if image.format in _BYTE_BY_BYTE else file.left
        return image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(str(error)) from error
    except UnidentifiedImageError as error:
        if kind := _refused_kind(data):
            raise UnsupportedImage(f"{kind} is not accepted; send one of {', '.join(ACCEPTED)}") from error
        raise InvalidImage("the bytes are no image of a known kind") from error
    except Exception as error:
        raise InvalidImage(f"broken image header: {error}") from error


class _InParts(io.BytesIO):
    """A file of so many parts and no more."""

    left = MOST_PARTS

    def read(self, size: int | None = -1, /) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise ValueError("too many parts")
        return super().read(size)


def _refused_kind(data: bytes) -> str | None:
    """What the bytes are, where they begin like an image or document of a kind that is not accepted."""
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return "HEIF"
    start = data[:64].lstrip()
    known = (name for signature, name in _REFUSED.items() if start.startswith(signature))
    return next(known, None) or next((name for name in Image.OPEN if _begins_like(name, data)), None)


def _begins_like(name: str, data: bytes) -> bool:
    """Whether Pillow's plugin `name` knows the first bytes; nothing more of them is parsed."""
    _, accept = Image.OPEN[name]
    try:
        return name not in ACCEPTED and accept is not None and accept(data[:16]) is True
    except (IndexError, struct.error):  # fewer bytes than a signature
        return False


def _decoder(image: Image.Image) -> Callable[[bytes, Image.Image], Pixels]:
    if image.format in _JPEG:
        return _decode_jpeg
    if image.format == "TIFF":
        return _decode_tiff
    return _decode_by_opencv if image.format in _BY_OPENCV and _suits_opencv(image) else _decode_any


def _suits_opencv(image: Image.Image) -> bool:
    """Not asked of a TIFF or GIF, where counting the frames is going through all of them."""
    still = getattr(image, "n_frames", 1) == 1 and "transparency" not in image.info
    return still and image.mode in ("RGB", "L") and (image.format != "BMP" or _has_whole_bytes(image))


def _has_whole_bytes(image: Image.Image) -> bool:
    """Of a BMP: of 16 and 32 bits a pixel the two libraries think differently."""
    tiles: Any = getattr(image, "tile", None)
    return bool(tiles) and tiles[0].args[0] == "BGR"


def _decode_by_opencv(data: bytes, image: Image.Image) -> Pixels:
    pixels = by_opencv(data)
    if pixels is None or pixels.shape[1::-1] != image.size:  # Pillow tells what is broken
        return _decode_any(data, image)
    all_known = image.format == "PNG" and _ends_with_pixels(data)
    return _upright(pixels, _orientation(image, all_known=all_known))


def _decode_jpeg(data: bytes, image: Image.Image) -> Pixels:
    check_scans(data)
    if image.mode not in ("RGB", "L"):
        return _decode_any(data, image)
    try:
        pixels = by_simplejpeg(data)
    except ValueError:  # a remark of libjpeg's is an error to it; Pillow tells harmless from broken
        return _decode_any(data, image)
    return _upright(pixels, _orientation(image))


def _decode_tiff(data: bytes, image: Image.Image) -> Pixels:
    stored = _stored(data, image)
    return _decode_any(data, image) if stored is None else stored


def _decode_any(_data: bytes, image: Image.Image) -> Pixels:
    image.load()
    return _upright(to_rgb(image), _orientation(image))


def _stored(data: bytes, image: Image.Image) -> Pixels | None:
    """The pixels of an upright TIFF that is not compressed: they lie in the file as they are wanted."""
    shape = (image.height, image.width, 3)
    plain = [("raw", (0, 0, *image.size), ("RGB", 0, 1))]
    tiles: Any = getattr(image, "tile", [])
    if (
        image.mode != "RGB"
        or [(codec, box, args) for codec, box, _, args in tiles] != plain
        or _orientation(image) != 1
    ):
        return None
    start, size = tiles[0].offset, math.prod(shape)
    return np.frombuffer(data, np.uint8, size, start).reshape(shape).copy() if start + size <= len(data) else None


def _orientation(image: Image.Image, *, all_known: bool = False) -> int:
    """With `all_known`, as what stood before the pixels says; else Pillow may decode them all to see what is behind."""
    try:
        exif = Image.Image.getexif(image) if all_known else image.getexif()
        return int(exif.get(ExifTags.Base.Orientation, 1))
    except Exception:  # malformed EXIF does not spoil a good photo
        return 1


def _ends_with_pixels(png: bytes) -> bool:
    """Whether nothing but the end mark follows the last pixels of a PNG; where in doubt, no."""
    last = png.rfind(b"IDAT")
    end = last + 8 + int.from_bytes(png[max(0, last - 4) : max(0, last)], "big")  # its name, content, sum
    return last > 0 and png[end + 4 : end + 8] == b"IEND"


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation (2 to 8; anything else leaves the photo alone)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
