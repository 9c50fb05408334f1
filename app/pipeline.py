"""The one pipeline from a photo's bytes to aligned faces: services, training and the command line all use it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, TypeAlias

from app.concurrency.worker_pool import raise_if_cancelled
from app.domain.models import AlignedCrop, Face, Pixels, Quality
from app.domain.ports import Aligner, Detector
from app.faces.orientation import Orientation, detect_upright
from app.faces.quality import assess
from app.faces.selection import ConfidentFaces, FaceRule, choose
from app.images.decode import ImageLimits, decode

FaceSelection: TypeAlias = FaceRule | Literal["all"] | ConfidentFaces
Stage: TypeAlias = Callable[[str], AbstractContextManager[object]]
"""Wraps one stage (`decode`, `detect`, `align`) in a context, for timing and tracing."""


@dataclass(frozen=True, slots=True, eq=False)
class AlignedFace:
    """A detected face with its aligned crop and its quality, not yet embedded."""

    face: Face
    crop: AlignedCrop
    quality: Quality


@dataclass(frozen=True, slots=True)
class PhotoFaces:
    """The selected faces of a photo of `width` x `height` pixels in which `faces_found` were detected."""

    faces: Sequence[AlignedFace]
    faces_found: int
    width: int
    height: int


class FacePipeline:
    """Decode, detect, select, align. Blocking and thread-safe; `max_faces` bounds a selection of all faces."""

    def __init__(
        self, detector: Detector, aligner: Aligner, limits: ImageLimits | None = None, max_faces: int = 500
    ) -> None:
        self._detector, self._aligner = detector, aligner
        self._limits, self._max_faces = limits or ImageLimits(), max_faces

    def read(
        self, data: bytes, selection: FaceSelection, stage: Stage = nullcontext, orientation: Orientation = "auto"
    ) -> PhotoFaces:
        """
        Return the selected faces of an encoded image, aligned and with their quality.

        A photo in which no face is beyond doubt is turned, unless its orientation is to be taken from EXIF alone.

        Raises InvalidImage, UnsupportedImage or ImageTooLarge; FaceNotFound or MultipleFaces unless all are selected.
        """
        with stage("decode"):
            image = self.decode(data)
        raise_if_cancelled()
        with stage("detect"):
            faces = detect_upright(self._detector, image, orientation)
        selected = self._select(faces, selection, image)
        with stage("align"):
            aligned = [self.align(image, face) for face in selected]
        return PhotoFaces(aligned, len(faces), width=image.shape[1], height=image.shape[0])

    def with_aligner(self, aligner: Aligner) -> FacePipeline:
        """Return a pipeline that aligns for another embedder, with the same detector and limits."""
        return FacePipeline(self._detector, aligner, self._limits, self._max_faces)

    def decode(self, data: bytes) -> Pixels:
        """Return the upright photo. Raises InvalidImage, UnsupportedImage or ImageTooLarge."""
        return decode(data, self._limits)

    def locate(self, image: Pixels, rule: FaceRule) -> Face:
        """Return the one face that `rule` selects. Raises FaceNotFound or MultipleFaces."""
        return choose(detect_upright(self._detector, image, "auto"), rule, image.shape[:2])

    def align(self, image: Pixels, face: Face) -> AlignedFace:
        """Cut the face out of its photo as the embedder expects it, and measure its quality."""
        raise_if_cancelled()
        crop = self._aligner.align(image, face)
        return AlignedFace(face, crop, assess(face, crop))

    def _select(self, faces: Sequence[Face], selection: FaceSelection, image: Pixels) -> Sequence[Face]:
        if selection == "all":
            return faces[: self._max_faces]
        if isinstance(selection, ConfidentFaces):
            return selection.of(faces)[: self._max_faces]
        return [choose(faces, selection, image.shape[:2])]
