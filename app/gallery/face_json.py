"""The JSON of a detected face, in the database and in exports, and the check of its vector."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from app.domain.models import Box, Face, Landmarks, Quality, Template


def detection_to_json(template: Template) -> dict[str, Any]:
    face, quality = template.face, template.quality
    return {
        "box": [face.box.left, face.box.top, face.box.right, face.box.bottom],
        "landmarks": face.landmarks.points.tolist(),
        "confidence": face.confidence,
        "rotated": face.rotated,
        "quality": [quality.size, quality.sharpness, quality.frontality, quality.inside],
    }


def detection_from_json(document: Mapping[str, Any]) -> tuple[Face, Quality]:
    """Raises KeyError, TypeError, ValueError or OverflowError if it is not what `detection_to_json` makes."""
    landmarks = Landmarks(np.asarray(document["landmarks"], np.float32))
    box, quality = [[_finite(number) for number in document[name]] for name in ("box", "quality")]
    rotated = int(document.get("rotated", 0))
    return Face(Box(*box), landmarks, _finite(document["confidence"]), rotated=rotated), Quality(*quality)


def _finite(number: Any) -> float:
    if not math.isfinite(value := float(number)):
        raise ValueError(f"expected a finite number, got {value}")
    return value


def vector_problem(data: bytes, dimension: int | None = None) -> str | None:
    """Say why `data` is not a float32 unit vector (of `dimension` numbers, if given); None if it is one."""
    if len(data) % np.dtype(np.float32).itemsize:
        return f"expected a float32 vector, got {len(data)} bytes"
    vector = np.frombuffer(data, np.float32)
    if dimension is not None and len(vector) != dimension:
        return f"expected a vector of {dimension} numbers, got {len(vector)}"
    with np.errstate(all="ignore"):  # damaged bytes may be any numbers
        length = math.sqrt(float(np.dot(vector, vector)))  # faster than np.linalg.norm
    return None if abs(length - 1) < 1e-3 else f"expected a vector of length 1, got length {length:.4f}"
