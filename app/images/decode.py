"""
Decode an image file to an upright 8-bit RGB photo, with limits that are checked before any pixel is decoded.

DeepFace and CompreFace hand the bytes to OpenCV, which ignores transparency and 16-bit ranges and decodes whatever size
the header claims; their users complain of rotated phone photos and of memory. Here Pillow recognises the format by its
content and reads the header, the limits are checked, and only then are the pixels decoded by the fastest library that
gives the right ones: simplejpeg (libjpeg-turbo), OpenCV, or Pillow for everything else and for files that the other two
complain about.
"""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from app.domain.errors import ImageTooLarge, InvalidImage, UnsupportedImage
from app.domain.models import Pixels
from app.images.jpeg import check_scans, decode_by_simplejpeg
from app.images.rgb import to_rgb

_RAW_RGB = ("RGB", ("RGB", 0, 1))  # how Pillow describes rows of RGB without padding, from the top
_EXIF_KEYS = {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"}  # where Pillow finds an orientation
_REFUSED = {b"%PDF": "PDF", b"<svg": "SVG", b"<?xml": "SVG or XML"}  # formats that Pillow does not recognise
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"mif1", b"msf1")


@dataclass(frozen=True, slots=True)
class ImageLimits:
    max_bytes: int = 10 * 1024 * 1024
    max_pixels: int = 40_000_000


def decode(data: bytes, limits: ImageLimits) -> Pixels:
    """
    Return the photo as (H, W, 3) uint8 RGB: EXIF orientation applied, first frame only, transparency over white.

    Raises ImageTooLarge, UnsupportedImage or InvalidImage.
    """
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(f"expected at most {limits.max_bytes} bytes, got {len(data)}")
    image = _open(data)
    if image.width * image.height > limits.max_pixels:
        raise ImageTooLarge(f"expected at most {limits.max_pixels} pixels, got {image.width} x {image.height}")
    try:
        with image:
            return np.ascontiguousarray(_format_of(image).decode(data, image))
    except Exception as error:  # on broken data Pillow's decoders raise OSError, SyntaxError, struct.error and more
        raise InvalidImage(f"broken {image.format} image: {error}") from error


def _open(data: bytes) -> Image.Image:
    """Read the header; no pixel is decoded."""
    file = _LimitedReads(data)
    try:
        image = Image.open(file, formats=ACCEPTED)
        if not _format_of(image).bounded_reads:
            file.reads_left = sys.maxsize
        return image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(str(error)) from error
    except UnidentifiedImageError as error:
        if name := _refused_format(data):
            raise UnsupportedImage(f"expected one of {', '.join(ACCEPTED)}, got {name}") from error
        raise InvalidImage("expected an image, got bytes of an unknown format") from error
    except Exception as error:
        raise InvalidImage(f"broken image header: {error}") from error


class _LimitedReads(io.BytesIO):
    """
    A file that refuses further reads after as many as no honest file needs.

    Pillow reads a header part by part in Python, and 10 MiB can hold millions of parts.
    """

    reads_left = 100_000

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads_left -= 1
        if self.reads_left < 0:
            raise ValueError("too many parts")
        return super().read(size)


def _refused_format(data: bytes) -> str | None:
    """Return the name of the format, where the bytes begin like an image or document that is not accepted."""
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return "HEIF"
    start = data[:64].lstrip()
    if name := next((name for signature, name in _REFUSED.items() if start.startswith(signature)), None):
        return name
    others = ((name, accept) for name, (_, accept) in Image.OPEN.items() if name not in ACCEPTED and accept)
    return next((name for name, accept in others if accept(data[:16]) is True), None)


def _decode_jpeg(data: bytes, image: Image.Image) -> Pixels:
    check_scans(data, None if "progressive" in image.info else len(image.getbands()))
    if image.mode not in ("RGB", "L"):
        return _decode_by_pillow(data, image)
    try:
        pixels = decode_by_simplejpeg(data)
    except ValueError:  # simplejpeg also raises for libjpeg's warnings; Pillow tells harmless from broken
        return _decode_by_pillow(data, image)
    return _upright(pixels, _orientation(image, header_only=True))


def _decode_png(data: bytes, image: Image.Image) -> Pixels:
    return _decode_by_opencv(data, image, header_only=_ends_with_pixels(data))


def _decode_bmp(data: bytes, image: Image.Image) -> Pixels:
    has_whole_bytes = [tile.args[0] for tile in _tiles(image)] == ["BGR"]  # the two differ at 16 and 32 bits a pixel
    return _decode_by_opencv(data, image) if has_whole_bytes else _decode_by_pillow(data, image)


def _decode_ppm(data: bytes, image: Image.Image) -> Pixels:
    raw = _raw_pixels(data, image)
    return _decode_by_opencv(data, image) if raw is None else raw


def _decode_tiff(data: bytes, image: Image.Image) -> Pixels:
    raw = _raw_pixels(data, image)
    return _decode_by_pillow(data, image) if raw is None else raw


def _decode_by_opencv(data: bytes, image: Image.Image, *, header_only: bool = False) -> Pixels:
    """Decode a still image of 8-bit color or grey by OpenCV; any other, or a broken one, by Pillow."""
    still = getattr(image, "n_frames", 1) == 1 and "transparency" not in image.info
    if not still or image.mode not in ("RGB", "L"):
        return _decode_by_pillow(data, image)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None or pixels.shape[1::-1] != image.size:
        return _decode_by_pillow(data, image)
    return _upright(np.asarray(pixels, np.uint8), _orientation(image, header_only=header_only))


def _decode_by_pillow(_data: bytes, image: Image.Image) -> Pixels:
    image.load()
    return _upright(to_rgb(image), _orientation(image))


def _raw_pixels(data: bytes, image: Image.Image) -> Pixels | None:
    """Return the pixels of an upright, uncompressed image, which lie in the file as they are returned; else None."""
    tiles, shape = _tiles(image), (image.height, image.width, 3)
    whole = len(tiles) == 1 and tiles[0].codec_name == "raw" and tiles[0].extents == (0, 0, *image.size)
    if not whole or tiles[0].args not in _RAW_RGB or image.mode != "RGB" or _orientation(image) != 1:
        return None
    start, size = tiles[0].offset, math.prod(shape)
    return np.frombuffer(data, np.uint8, size, start).reshape(shape).copy() if start + size <= len(data) else None


def _tiles(image: Image.Image) -> list[Any]:
    """Return where in the file Pillow finds the pixels, and how they are stored."""
    tiles: list[Any] = getattr(image, "tile", [])
    return tiles


def _orientation(image: Image.Image, *, header_only: bool = False) -> int:
    """Return the EXIF orientation. Unless `header_only`, Pillow may decode all pixels to find EXIF behind them."""
    if header_only and not _EXIF_KEYS & image.info.keys():
        return 1
    try:
        exif = Image.Image.getexif(image) if header_only else image.getexif()
        return int(exif.get(ExifTags.Base.Orientation, 1))
    except Exception:  # malformed EXIF does not spoil a good photo
        return 1


def _ends_with_pixels(png: bytes) -> bool:
    """Return whether only the end chunk follows the last pixels of a PNG; False if in doubt."""
    last = png.rfind(b"IDAT")
    end = last + 8 + int.from_bytes(png[max(0, last - 4) : max(0, last)], "big")  # its name, content and checksum
    return last > 0 and png[end + 4 : end + 8] == b"IEND"


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation; a value other than 2 to 8 changes nothing."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


@dataclass(frozen=True, slots=True)
class _Format:
    decode: Callable[[bytes, Image.Image], Pixels]
    bounded_reads: bool = True


_FORMATS = {
    "JPEG": _Format(_decode_jpeg),
    "PNG": _Format(_decode_png),
    "WEBP": _Format(_decode_by_opencv),
    "BMP": _Format(_decode_bmp, bounded_reads=False),  # Pillow reads run-length encoded pixels byte by byte
    "DIB": _Format(_decode_by_pillow, bounded_reads=False),
    "TIFF": _Format(_decode_tiff),
    "GIF": _Format(_decode_by_pillow),
    "AVIF": _Format(_decode_by_pillow),
    "JPEG2000": _Format(_decode_by_pillow),
    "PPM": _Format(_decode_ppm),
}
"""The accepted formats, by Pillow's names. OpenCV decodes only those of which it makes the same bytes, and faster."""
ACCEPTED = tuple(_FORMATS)


def _format_of(image: Image.Image) -> _Format:
    return _FORMATS["JPEG" if image.format == "MPO" else str(image.format)]  # MPO: a JPEG of several pictures
