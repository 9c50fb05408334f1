"""
A decoder for each accepted format: the fastest library that gives the right pixels.

simplejpeg is libjpeg-turbo. OpenCV decodes only formats of which it makes the same bytes as Pillow, and faster. Pillow
decodes everything else, and the files that the other two complain about.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from PIL import ExifTags, Image

from app.domain.arrays import Pixels
from app.images import heif, tiff
from app.images.jpeg import END_OF_IMAGE, check_scans, decode_by_simplejpeg, lacks_only_its_end
from app.images.png import is_safe_for_opencv
from app.images.rgb import deep_color_to_rgb, to_rgb

_RAW_RGB = ("RGB", ("RGB", 0, 1))  # how Pillow describes rows of RGB without padding, from the top
_EXIF_KEYS = {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"}  # where Pillow finds an orientation


def _decode_jpeg(data: bytes, image: Image.Image) -> Pixels:
    check_scans(data, None if "progressive" in image.info else len(image.getbands()))
    try:
        if image.mode in ("RGB", "L"):
            return _upright(decode_by_simplejpeg(data), _orientation(image, header_only=True))
    except ValueError:  # simplejpeg also raises for libjpeg's warnings; Pillow tells harmless from broken
        pass
    if lacks_only_its_end(data, image.mode):
        image = Image.open(io.BytesIO(data + END_OF_IMAGE), formats=["JPEG"])
    return _decode_by_pillow(data, image)


def _decode_png(data: bytes, image: Image.Image) -> Pixels:
    if not is_safe_for_opencv(data):
        return _decode_by_pillow(data, image)
    is_deep = any(str(tile.args).startswith(("RGB", "LA;")) and ";16" in str(tile.args) for tile in _tiles(image))
    if is_deep and "transparency" not in image.info:
        return _decode_deep_color(_deep_values(data, image), image)
    return _decode_by_opencv(data, image, header_only=_ends_with_pixels(data))


def _decode_bmp(data: bytes, image: Image.Image) -> Pixels:
    has_whole_bytes = [tile.args[0] for tile in _tiles(image)] == ["BGR"]  # the two differ at 16 and 32 bits a pixel
    return _decode_by_opencv(data, image) if has_whole_bytes else _decode_by_pillow(data, image)


def _decode_ppm(data: bytes, image: Image.Image) -> Pixels:
    raw = _raw_pixels(data, image)
    return _decode_by_opencv(data, image) if raw is None else raw


def _decode_tiff(data: bytes, image: Image.Image) -> Pixels:
    if tiff.has_deep_color(image):
        if not tiff.is_in_planes(image):
            return _decode_deep_color(_deep_values(data, image), image)
        read = tiff.read_planes if tiff.is_in_plain_strips(image) else tiff.decode_planes
        return _decode_deep_color(read(data, image), image)
    raw = _raw_pixels(data, image)
    return _decode_by_pillow(data, image) if raw is None else raw


def _decode_deep_color(values: np.ndarray | None, image: Image.Image) -> Pixels:
    """Return 16-bit values as a photo; without them, Pillow's pixels, which are the upper bytes."""
    return _decode_by_pillow(b"", image) if values is None else _upright(deep_color_to_rgb(values), _orientation(image))


def _deep_values(data: bytes, image: Image.Image) -> np.ndarray | None:
    """Return values (H, W, 3 or 4) uint16: red, green, blue and alpha; None if OpenCV does not find such."""
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.shape[1::-1] != image.size or values.ndim != 3:
        return None
    return values[:, :, [2, 1, 0, 3][: values.shape[2]]]


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
class Format:
    decode: Callable[[bytes, Image.Image], Pixels]
    bounded_reads: bool = True


_FORMATS = {
    "JPEG": Format(_decode_jpeg),
    "PNG": Format(_decode_png),
    "WEBP": Format(_decode_by_opencv),
    "BMP": Format(_decode_bmp, bounded_reads=False),  # Pillow reads run-length encoded pixels byte by byte
    "DIB": Format(_decode_by_pillow, bounded_reads=False),
    "TIFF": Format(_decode_tiff),
    "GIF": Format(_decode_by_pillow),
    "AVIF": Format(_decode_by_pillow),
    **({"HEIF": Format(_decode_by_pillow)} if heif.AVAILABLE else {}),
    "JPEG2000": Format(_decode_by_pillow),
    "PPM": Format(_decode_ppm),
}
"""The accepted formats, by Pillow's names."""
ACCEPTED = tuple(_FORMATS)


def format_of(image: Image.Image) -> Format:
    return _FORMATS["JPEG" if image.format == "MPO" else str(image.format)]  # MPO: a JPEG of several pictures
