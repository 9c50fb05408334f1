"""The JSON of a detected face, in the database and in exports, and the check of its vector."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from app.domain.embeddings import Template, vector_problem
from app.domain.faces import Box, Face, Landmarks, Quality


def detection_to_json(template: Template) -> dict[str, Any] | None:
    """Return None for a face that was enrolled as a vector."""
    face, quality = template.face, template.quality
    if face is None or quality is None:
        return None
    return {
        "box": [face.box.left, face.box.top, face.box.right, face.box.bottom],
        "landmarks": face.landmarks.points.tolist(),
        "confidence": face.confidence,
        "rotated": face.rotated,
        "quality": [quality.size, quality.sharpness, quality.frontality, quality.inside],
    }


def detection_from_json(document: Mapping[str, Any] | None) -> tuple[Face, Quality] | tuple[None, None]:
    """Raises KeyError, TypeError, ValueError or OverflowError if it is not what `detection_to_json` makes."""
    if document is None:
        return None, None
    landmarks = Landmarks(np.asarray(document["landmarks"], np.float32))
    box, quality = [[_finite(number) for number in document[name]] for name in ("box", "quality")]
    rotated = int(document.get("rotated", 0))
    return Face(Box(*box), landmarks, _finite(document["confidence"]), rotated=rotated), Quality(*quality)


def _finite(number: Any) -> float:
    if not math.isfinite(value := float(number)):
        raise ValueError(f"expected a finite number, got {value}")
    return value


def stored_vector_problem(data: bytes, dimension: int | None = None) -> str | None:
    """Say why `data` is not a float32 unit vector (of `dimension` numbers, if given); None if it is one."""
    if len(data) % np.dtype(np.float32).itemsize:
        return f"expected a float32 vector, got {len(data)} bytes"
    return vector_problem(np.frombuffer(data, np.float32), dimension)
