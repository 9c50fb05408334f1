"""
Photos to measure with: real ones where ../shared/data is there, else two public-domain people, enlarged and tiled.

What goes over HTTP is always made of the two, so that those rows are the same everywhere.
"""

from __future__ import annotations

import io
from functools import cache

import cv2
import numpy as np
from PIL import Image

from app.domain.arrays import Pixels
from app.images.decode import ImageLimits, decode
from tests.support.server import REPOSITORY

SHARED = REPOSITORY.parent / "shared" / "data" / "photos"
REAL = {
    "several people": "facenet-pytorch/data/multiface.jpg",
    "a portrait": "face_recognition/examples/obama.jpg",
    "a head": "facenet-pytorch/data/test_images/kate_siegel/1.jpg",
    "two people": "face_recognition/examples/knn_examples/test/obama_and_biden.jpg",
}
FACE_SIDE = 96  # of a tile with one face
_BOXES = {"collins": (160, 40, 290, 170), "hopper": (130, 90, 390, 350)}  # squares round the faces


@cache
def hopper() -> Pixels:
    """Grace Hopper, (600, 512, 3)."""
    return _own("hopper")


@cache
def collins() -> Pixels:
    """Eileen Collins, (512, 512, 3)."""
    return _own("collins")


def _own(name: str) -> Pixels:
    return decode((REPOSITORY / "docs" / "images" / f"{name}.jpg").read_bytes(), ImageLimits())


@cache
def to_detect() -> dict[str, Pixels]:
    """Photos of 0.7 to 3 megapixels, named with their size."""
    photos = _real() if SHARED.is_dir() else _composed()
    return {f"{name}, {photo.shape[1]}x{photo.shape[0]}": photo for name, photo in photos.items()}


def _real() -> dict[str, Pixels]:
    return {name: decode((SHARED / path).read_bytes(), ImageLimits()) for name, path in REAL.items()}


def _composed() -> dict[str, Pixels]:
    return {
        "several people": crowd(12, side=256)[:720],
        "a portrait": covering(hopper(), 910, 1137),
        "a head": covering(hopper(), 1125, 1612),
        "two people": np.hstack([covering(collins(), 1000, 1428), covering(hopper(), 1000, 1428)]),
    }


def covering(photo: Pixels, width: int, height: int) -> Pixels:
    """Enlarged to cover so many pixels, and the rest cut off: alike on both sides, below rather than above."""
    scale = max(width / photo.shape[1], height / photo.shape[0])
    size = max(width, round(photo.shape[1] * scale)), max(height, round(photo.shape[0] * scale))
    large = cv2.resize(photo, size, interpolation=cv2.INTER_CUBIC)
    left = (large.shape[1] - width) // 2
    return np.ascontiguousarray(large[:height, left : left + width], np.uint8)


def crowd(faces: int, side: int = FACE_SIDE) -> Pixels:
    """So many faces in rows of at most eight, the two people in turn."""
    columns = min(faces, 8)
    canvas = np.full((-(-faces // columns) * side, columns * side, 3), 128, np.uint8)
    for number, tile in zip(range(faces), _tiles(side) * faces, strict=False):
        row, column = divmod(number, columns)
        canvas[row * side : (row + 1) * side, column * side : (column + 1) * side] = tile
    return canvas


def _tiles(side: int) -> list[Pixels]:
    people = {"collins": collins(), "hopper": hopper()}
    cut = [people[name][top:bottom, left:right] for name, (left, top, right, bottom) in _BOXES.items()]
    return [np.asarray(cv2.resize(each, (side, side), interpolation=cv2.INTER_AREA), np.uint8) for each in cut]


@cache
def pair() -> tuple[bytes, bytes]:
    """Two JPEGs of 1024x768: what one `/verify` is given."""
    return jpeg(covering(collins(), 1024, 768)), jpeg(covering(hopper(), 1024, 768))


def upload(size: int = 100_000) -> bytes:
    """Exactly so many bytes that begin as a JPEG does, for a service that does not look at them."""
    return jpeg(collins())[:1000].ljust(size, b"\0")


def jpeg(photo: Pixels, quality: int = 90, **options: object) -> bytes:
    return encoded(photo, "JPEG", quality=quality, **options)


def encoded(photo: Pixels, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, kind, **options)
    return buffer.getvalue()
