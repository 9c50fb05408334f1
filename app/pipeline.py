"""The one pipeline from a photo's bytes to aligned faces: services, training and the command line all use it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from app.concurrency.worker_pool import raise_if_cancelled
from app.domain.arrays import Pixels
from app.domain.faces import AlignedCrop, Face, Liveness, Quality
from app.domain.ports import Aligner, Detector, LivenessDetector
from app.faces.alignment import ARCFACE_112, KEPT_SIZE, LandmarkAligner
from app.faces.orientation import Orientation, detect_upright
from app.faces.quality import assess
from app.faces.selection import ConfidentFaces, FaceRule, choose
from app.images.crops import encode_crop
from app.images.decode import ImageLimits, decode

FaceSelection: TypeAlias = FaceRule | Literal["all"] | ConfidentFaces
_KEPT_ALIGNER = LandmarkAligner(ARCFACE_112, KEPT_SIZE)
Stage: TypeAlias = Callable[[str], AbstractContextManager[object]]
"""Wraps one stage (`decode`, `detect`, `align`, `liveness`) in a context, for timing and tracing."""


@dataclass(frozen=True, slots=True, eq=False)
class AlignedFace:
    """A detected face with its aligned crop and its quality, not yet embedded."""

    face: Face
    crop: AlignedCrop
    quality: Quality
    liveness: Liveness | None = None
    """None if it was not asked for."""
    kept: bytes | None = None
    """The crop to keep, as JPEG; None if it was not asked for."""


@dataclass(frozen=True, slots=True)
class PhotoFaces:
    """The selected faces of a photo of `width` x `height` pixels in which `faces_found` were detected."""

    faces: Sequence[AlignedFace]
    faces_found: int
    width: int
    height: int


class FacePipeline:
    """
    Decode, detect, select, align. Blocking and thread-safe; `max_faces` bounds a selection of all faces.

    `liveness`, if there is one, can also judge whether the faces are live.
    """

    def __init__(
        self,
        detector: Detector,
        aligner: Aligner,
        limits: ImageLimits | None = None,
        max_faces: int = 500,
        liveness: LivenessDetector | None = None,
    ) -> None:
        self._detector, self._aligner, self._liveness = detector, aligner, liveness
        self._limits, self._max_faces = limits or ImageLimits(), max_faces

    @property
    def judges_liveness(self) -> bool:
        return self._liveness is not None

    def read(
        self,
        data: bytes,
        selection: FaceSelection,
        stage: Stage = nullcontext,
        orientation: Orientation = "auto",
        *,
        liveness: bool = False,
        keep_crops: bool = False,
    ) -> PhotoFaces:
        """
        Return the selected faces of an encoded image, aligned, with their quality and, with `liveness`, their liveness,
        with `keep_crops`, the crop to keep.

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
            if keep_crops:
                aligned = [replace(each, kept=_crop_to_keep(image, each.face)) for each in aligned]
        if liveness and self._liveness:
            with stage("liveness"):
                aligned = _with_liveness(aligned, self._liveness.assess(image, selected))
        return PhotoFaces(aligned, len(faces), width=image.shape[1], height=image.shape[0])

    def with_aligner(self, aligner: Aligner) -> FacePipeline:
        """Return a pipeline that aligns for another embedder, with the same detector and limits."""
        return FacePipeline(self._detector, aligner, self._limits, self._max_faces, self._liveness)

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


def _crop_to_keep(image: Pixels, face: Face) -> bytes:
    """Return the crop that most models take, also where the model in use takes another one."""
    return encode_crop(_KEPT_ALIGNER.align(image, face).pixels)


def _with_liveness(faces: Sequence[AlignedFace], liveness: Sequence[Liveness]) -> list[AlignedFace]:
    return [replace(face, liveness=each) for face, each in zip(faces, liveness, strict=True)]
