"""Bytes to pixels: against simplejpeg, which ours calls, and against OpenCV for every format that is accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import cv2
import numpy as np
import simplejpeg

from app.domain.arrays import Pixels
from app.images.decode import ImageLimits, decode
from tests.benchmarks import photos
from tests.benchmarks.cores import one_core
from tests.benchmarks.measure import Contestant, Effort, noise, race
from tests.benchmarks.report import Row, at_most, share_of, versus

LIMITS = ImageLimits()


def rows(effort: Effort) -> Iterator[Row]:
    with one_core():
        for name, data in jpegs().items():
            yield compared(name, data, "simplejpeg", by_simplejpeg, effort)
        for name, data in formats().items():
            yield against_opencv(name, data, effort)


def jpegs() -> dict[str, bytes]:
    small, large = photos.covering(photos.collins(), 1024, 768), list(photos.to_detect().values())[-1]
    return {
        "JPEG 1024x768": photos.jpeg(small),
        f"JPEG {large.shape[1]}x{large.shape[0]}": photos.jpeg(large),
        "JPEG progressive 1024x768": photos.jpeg(small, progressive=True),
    }


@cache
def formats() -> dict[str, bytes]:
    """The photo, 1024x768, in every format that is accepted; DIB is a BMP without its file's header."""
    photo = photos.covering(photos.collins(), 1024, 768)
    encodings: dict[str, tuple[str, dict[str, object]]] = {
        "JPEG": ("JPEG", {"quality": 90}),
        "PNG": ("PNG", {}),
        "WebP": ("WEBP", {"quality": 80}),
        "WebP lossless": ("WEBP", {"lossless": True}),
        "BMP": ("BMP", {}),
        "DIB": ("DIB", {}),
        "TIFF": ("TIFF", {}),
        "TIFF deflate": ("TIFF", {"compression": "tiff_adobe_deflate"}),
        "GIF": ("GIF", {}),
        "AVIF": ("AVIF", {"quality": 60}),
        "HEIF": ("HEIF", {"quality": 80}),
        "JPEG 2000": ("JPEG2000", {}),
        "PPM": ("PPM", {}),
    }
    return {name: photos.encoded(photo, kind, **options) for name, (kind, options) in encodings.items()}


def against_opencv(name: str, data: bytes, effort: Effort) -> Row:
    if by_opencv(data) is None:
        alone = race({"ours": Contestant(lambda: decode(data, LIMITS))}, effort.pace)
        return Row("decode", name, peer="OpenCV cannot", ours=alone["ours"].time())
    return compared(name, data, "OpenCV", by_opencv, effort)


def compared(name: str, data: bytes, peer: str, theirs: Callable[[bytes], Pixels | None], effort: Effort) -> Row:
    """The peer runs twice: how far it is from itself is the noise that the target is given."""
    contestants = {
        "ours": Contestant(lambda: decode(data, LIMITS)),
        peer: Contestant(lambda: theirs(data)),
        "the peer again": Contestant(lambda: theirs(data)),
    }
    laps = race(contestants, effort.pace)
    target = at_most(1.0, noise(laps["the peer again"].cpu, laps[peer].cpu))
    return versus("decode", name, laps, peer, target=target, **share_of(laps, peer))


def by_simplejpeg(data: bytes) -> Pixels:
    return np.asarray(simplejpeg.decode_jpeg(data, "RGB"))


def by_opencv(data: bytes) -> Pixels | None:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    return None if pixels is None else np.asarray(pixels, np.uint8)
