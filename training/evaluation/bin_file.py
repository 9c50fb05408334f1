"""
InsightFace's verification files (lfw.bin, cfp_fp.bin, agedb_30.bin, calfw.bin, cplfw.bin): aligned pairs of 112 px.

A file is a pickle of (encoded images, flags of the pairs): pair i has the images 2 i and 2 i + 1. A pickle may name any
function to call, so only the few names that such files have are accepted, and plain functions here stand in for them:
neither NumPy's nor other code is called by the file.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain.arrays import Pixels
from training.errors import TrainingError
from training.evaluation.pairs import FOLDS, PairList

SIZE = 112


class UnusableBin(TrainingError):
    """The file is not one of InsightFace's verification files."""


@dataclass(frozen=True)
class BinFile:
    """The encoded images (2 N) of N pairs, and whether each pair is of one person."""

    images: list[bytes]
    same: NDArray[np.bool_]

    @property
    def pairs(self) -> PairList:
        """The pairs in ten folds, one after the other; nobody's name is known."""
        count, numbers = len(self.same), np.arange(2 * len(self.same))
        sizes = [count // FOLDS + (fold < count % FOLDS) for fold in range(FOLDS)]
        folds = np.repeat(np.arange(FOLDS), sizes)
        return PairList(tuple(map(str, numbers)), numbers[::2], numbers[1::2], self.same, folds)

    def crops(self, chosen: range) -> Pixels:
        """Decode images to crops (C, 112, 112, 3). Raises UnusableBin."""
        return np.stack([_decode(self.images[number], number) for number in chosen])


def read_bin(path: Path) -> BinFile:
    """Read a file. Raises UnusableBin."""
    try:
        content = _Unpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except OSError as error:
        raise UnusableBin(f"cannot read {path}: {error.strerror}") from error
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise UnusableBin(f"{path} is not one of InsightFace's verification files: {error}") from error
    return _checked(path, content)


def _checked(path: Path, content: Any) -> BinFile:
    if not (
        isinstance(content, tuple | list) and len(content) == 2 and all(isinstance(part, list) for part in content)
    ):
        raise UnusableBin(f"{path}: expected a pickle of a list of images and a list of flags")
    images, same = content
    if len(images) != 2 * len(same) or len(same) < 2 * FOLDS:
        raise UnusableBin(
            f"{path}: expected two images for each of {2 * FOLDS} pairs or more, got {len(images)} images"
        )
    if not (all(isinstance(image, bytes) for image in images) and all(flag in (0, 1) for flag in same)):
        raise UnusableBin(f"{path}: expected encoded images, and True or False for each pair")
    flags = np.array(same, bool)
    if flags.all() or not flags.any():
        raise UnusableBin(f"{path}: expected genuine and impostor pairs")
    return BinFile(images, flags)


def _decode(image: bytes, number: int) -> Pixels:
    pixels = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR_RGB) if image else None
    if pixels is None or pixels.shape != (SIZE, SIZE, 3):
        got = "none" if pixels is None else f"{pixels.shape[1]} x {pixels.shape[0]}"
        raise UnusableBin(f"image {number}: expected an image of {SIZE} x {SIZE} pixels, got {got}")
    return np.asarray(pixels, np.uint8)


class _Type:
    """A stand-in for numpy.dtype, of which only one-byte booleans are expected."""

    def __setstate__(self, _state: object) -> None:
        return


def _boolean_type(*_arguments: object) -> _Type:
    return _Type()


def _boolean(_type: object, data: object) -> bool:
    return _bytes(data) == b"\x01"


def _bytes(data: object, _encoding: object = None) -> bytes:
    """Return bytes that Python 3 wrote as text for old protocols."""
    return data.encode("latin-1") if isinstance(data, str) else bytes(data) if isinstance(data, bytes) else b""


_NAMES = {
    ("numpy", "dtype"): _boolean_type,
    ("numpy.core.multiarray", "scalar"): _boolean,
    ("numpy._core.multiarray", "scalar"): _boolean,
    ("_codecs", "encode"): _bytes,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"it calls {module}.{name}, which no such file needs")
        return _NAMES[module, name]
