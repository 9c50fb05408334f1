"""The aligned crops that are kept beside vectors (LIKENESS_KEEP_CROPS), as small JPEG files."""

from __future__ import annotations

from app.domain.arrays import Pixels
from app.images.jpeg import decode_by_simplejpeg, encode_jpeg, jpeg_size

CROP_SIZE = 112
MAX_CROP_BYTES = 12 * 1024
_ENCODINGS = ((95, "444"), (90, "444"), (85, "420"), (70, "420"), (40, "420"), (10, "420"))
"""Quality and subsampling, best first. Only noise needs the last ones: the crops of photos mostly fit the first."""


def encode_crop(pixels: Pixels) -> bytes:
    """Return a crop (112, 112, 3) RGB as a JPEG of at most MAX_CROP_BYTES, as good as fits."""
    files = (encode_jpeg(pixels, quality, subsampling) for quality, subsampling in _ENCODINGS)
    return next(file for file in files if len(file) <= MAX_CROP_BYTES)


def decode_crop(data: bytes) -> Pixels:
    """Return the pixels (112, 112, 3) RGB. Raises ValueError if it is not a file such as `encode_crop` makes."""
    if len(data) > MAX_CROP_BYTES:
        raise ValueError(f"expected a crop of at most {MAX_CROP_BYTES} bytes, got {len(data)}")
    if (size := jpeg_size(data)) != (CROP_SIZE, CROP_SIZE):
        raise ValueError(f"expected a crop of {CROP_SIZE} x {CROP_SIZE} pixels, got {size[1]} x {size[0]}")
    return decode_by_simplejpeg(data)
