"""Video clips made of photos."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from app.domain.arrays import Pixels

HEIGHT, WIDTH, SIDE, RATE = 400, 640, 320, 5.0


def write_clip(path: Path, frames: Sequence[Sequence[tuple[Pixels, int]]]) -> Path:
    """Write grey frames, 5 a second, with the upper square of each photo at the given x."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), RATE, (WIDTH, HEIGHT))
    for photos in frames:
        canvas = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
        for photo, x in photos:
            square = photo[: min(photo.shape[:2]), : min(photo.shape[:2])]
            canvas[40 : 40 + SIDE, x : x + SIDE] = cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        writer.write(canvas[..., ::-1])
    writer.release()
    return path
