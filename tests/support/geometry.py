"""Similarities of the plane, and strategies for them."""

import math

import numpy as np
from hypothesis import strategies as st

from app.domain.arrays import Floats
from app.faces.alignment import Transform

COORDINATES = st.floats(-500, 500, width=32)
ANGLES = st.floats(-math.pi, math.pi)
SCALES = st.floats(0.05, 20)


def similarity(angle: float, scale: float, shift: tuple[float, float]) -> Transform:
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    return np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]])


def moved(points: Floats, transform: Transform) -> Floats:
    return (points @ transform[:, :2].T + transform[:, 2]).astype(np.float32)
