"""
Decode an image file to an upright 8-bit RGB photo, with limits that are checked before any pixel is decoded.

DeepFace and CompreFace hand the bytes to OpenCV, which ignores transparency and 16-bit ranges and decodes whatever size
the header claims; their users complain of rotated phone photos and of memory. Here Pillow recognises the format by its
content and reads the header, the limits are checked, and only then are the pixels decoded (formats.py).
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from app.domain.arrays import Pixels
from app.domain.errors import ImageTooLarge, InvalidImage, UnsupportedImage
from app.images.formats import ACCEPTED, format_of
from app.images.png import without_side_chunks

_REFUSED = {  # formats that Pillow does not recognise
    b"%PDF": "PDF",
    b"<svg": "SVG",
    b"<?xml": "SVG or XML",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
}
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


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
    try:
        return _decode(data, limits)
    except InvalidImage:
        if not (repaired := without_side_chunks(data)):
            raise
        return _decode(repaired, limits)


def _decode(data: bytes, limits: ImageLimits) -> Pixels:
    image = _open(data)
    if image.width * image.height > limits.max_pixels:
        raise ImageTooLarge(f"expected at most {limits.max_pixels} pixels, got {image.width} x {image.height}")
    try:
        with image:
            return np.ascontiguousarray(format_of(image).decode(data, image))
    except Exception as error:  # on broken data Pillow's decoders raise OSError, SyntaxError, struct.error and more
        raise InvalidImage(f"broken {image.format} image: {error}") from error


def _open(data: bytes) -> Image.Image:
    """Read the header; no pixel is decoded."""
    try:
        return _read_header(data)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(str(error)) from error
    except UnidentifiedImageError as error:
        if name := _accepted_format(data):
            raise InvalidImage(f"broken {name} image: its header cannot be read") from error
        if name := _refused_format(data):
            raise UnsupportedImage(f"expected one of {', '.join(ACCEPTED)}, got {name}") from error
        raise InvalidImage("expected an image, got bytes of an unknown format") from error
    except Exception as error:
        raise InvalidImage(f"broken {_accepted_format(data) or 'image'} header: {error}") from error


def _read_header(data: bytes) -> Image.Image:
    """Raises UnidentifiedImageError, Image.DecompressionBombError, or anything on broken data."""
    file = _LimitedReads(data)
    image = Image.open(file, formats=ACCEPTED)
    if not format_of(image).bounded_reads:
        file.reads_left = sys.maxsize
    return image


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


def _accepted_format(data: bytes) -> str | None:
    """Return the name of the accepted format that the bytes begin like."""
    accepts = ((name, Image.OPEN[name][1]) for name in ACCEPTED if name != "DIB")  # which begins like any small number
    start = data[:16].ljust(16, b"\0")
    return next((name for name, accept in accepts if accept and accept(start) is True), None)


def _refused_format(data: bytes) -> str | None:
    """Return the name of the format, where the bytes begin like an image or document that is not accepted."""
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return "HEIF, which needs `pip install 'likeness[heif]'`"
    start = data[:64].lstrip()
    if name := next((name for signature, name in _REFUSED.items() if start.startswith(signature)), None):
        return name
    others = ((name, accept) for name, (_, accept) in Image.OPEN.items() if name not in ACCEPTED and accept)
    return next((name for name, accept in others if accept(data[:16]) is True), None)
