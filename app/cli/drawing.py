"""Draw faces into a photo: box, landmarks, and the detector's confidence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from app.cli.output import CommandError
from app.domain.models import Face, Pixels

_GREEN, _ORANGE = (90, 230, 90), (255, 160, 40)


def draw_faces(photo: Pixels, faces: Sequence[Face], path: Path) -> None:
    """Write a copy of the (H, W, 3) RGB photo with its faces. Raises CommandError if the file cannot be written."""
    canvas = photo.copy()
    stroke = max(1, round(max(canvas.shape) / 400))
    for face in faces:
        _draw(canvas, face, stroke)
    try:
        written = cv2.imwrite(str(path), cv2.cvtColor(canvas, cv2.COLOR_RGB2BGR))
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
