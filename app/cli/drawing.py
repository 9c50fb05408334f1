"""Draw faces into a photo: box, landmarks, and the detector's confidence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from app.api import responses
from app.cli.output import CommandError
from app.domain.arrays import Pixels
from app.domain.faces import Box, Face, Landmarks

_GREEN, _ORANGE = (90, 230, 90), (255, 160, 40)


def draw_faces(photo: Pixels, faces: Sequence[Face], path: Path) -> None:
    """Write a copy of the (H, W, 3) RGB photo with its faces. Raises CommandError if the file cannot be written."""
    write_picture(with_faces(photo, faces), path)


def draw_pair(photos: Sequence[Pixels], faces: Sequence[Face], path: Path) -> None:
    """Write two photos side by side, as high as the higher one, each with the face that was compared."""
    marked = [with_faces(photo, [face]) for photo, face in zip(photos, faces, strict=True)]
    height = max(photo.shape[0] for photo in marked)
    widths = [round(photo.shape[1] * height / photo.shape[0]) for photo in marked]
    resized = [cv2.resize(photo, (width, height)) for photo, width in zip(marked, widths, strict=True)]
    write_picture(np.concatenate(resized, axis=1), path)


def with_faces(photo: Pixels, faces: Sequence[Face]) -> Pixels:
    canvas = photo.copy()
    stroke = max(1, round(max(canvas.shape) / 400))
    for face in faces:
        _draw(canvas, face, stroke)
    return canvas


def face_of(answer: responses.FaceOut) -> Face:
    """Return the face that an answer tells of."""
    return Face(Box(*answer.box), Landmarks(np.array(answer.landmarks, np.float32)), answer.confidence)


def write_picture(pixels: Pixels, path: Path) -> None:
    """Write (H, W, 3) RGB as PNG or JPEG. Raises CommandError if the file cannot be written."""
    try:
        written = cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    except cv2.error as error:
        raise CommandError(f"cannot write {path}: expected a name that ends in .png or .jpg") from error
    if not written:
        raise CommandError(f"cannot write {path}")


def _draw(canvas: Pixels, face: Face, stroke: int) -> None:
    box = face.box
    corner, opposite = (round(box.left), round(box.top)), (round(box.right), round(box.bottom))
    cv2.rectangle(canvas, corner, opposite, _GREEN, stroke)
    for x, y in np.rint(face.landmarks.points).astype(int).tolist():
        cv2.circle(canvas, (x, y), 2 * stroke, _ORANGE, -1)
    label = (corner[0], max(corner[1] - 3 * stroke, 8 * stroke))
    cv2.putText(canvas, f"{face.confidence:.3f}", label, cv2.FONT_HERSHEY_SIMPLEX, 0.4 * stroke, _GREEN, stroke)
