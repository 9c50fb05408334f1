"""
A second look of O-Net at each face: more precise landmarks, and a doubt about faces that may be turned.

The landmarks of the cascade come from a square that the box has left since, and are noisy: 1.3 px of the 112 px crop on
LFW. If the photo's edge cuts the face, the rest is stretched to O-Net's square (Zhang's own code, and davidsandberg's,
pad with black), and the error is 9 px. Therefore O-Net runs again on the square around each box, and on its mirror
image, with black beyond the edge, and the face is aligned by the mean of both (`Face.refined`). docs/evaluation.md has
the gain.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from app.domain.arrays import Floats
from app.faces.detector.nets import OutputNet
from app.faces.detector.nms import apply_offsets, to_square, windows
from app.faces.detector.pyramid import Pooling

EDGE_REFINEMENTS = 2
"""Times that the box of a face that the edge cuts is moved before its landmarks are refined."""
MIRROR_ORDER = [1, 0, 2, 4, 3]
"""The landmark of the mirror image that each landmark is."""
DOUBTFUL, UNSURE = 0.9, 0.97
"""Probabilities below which a face may be a turned one, and below which that is tried."""


def look_again(
    onet: OutputNet, photo: Pooling, boxes: Floats, probabilities: Floats, cut: npt.NDArray[np.bool_]
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """
    Return O-Net's landmarks (N, 5, 2) around each box (N, 4), and which faces are doubtful.

    Boxes `cut` by the edge are moved before. A face is doubtful if it is improbable, or if a look at it was unsure and
    one at the turned crop is surer: so are 1 % of upright faces, and 95 % of what MTCNN finds in turned photos.
    """
    squares = to_square(boxes)
    for _ in range(EDGE_REFINEMENTS if cut.any() else 0):
        _, offsets, _ = onet(photo.crops(windows(squares[cut]), 48))
        squares[cut] = to_square(apply_offsets(squares[cut], offsets, inclusive=True))
    crops = photo.crops(windows(squares), 48)
    sure, _, original = onet(crops)
    sure_of_mirror, _, mirrored = onet(np.ascontiguousarray(crops[:, :, ::-1]))
    doubtful = probabilities < DOUBTFUL
    unsure = np.minimum(np.minimum(probabilities, sure), sure_of_mirror) < UNSURE
    if unsure.any():
        turned = np.max([onet(turn)[0] for turn in _turns(crops[unsure])], axis=0)
        doubtful[unsure] |= turned > np.maximum(sure, sure_of_mirror)[unsure]
    return to_pixels(squares, (original + _mirror(mirrored)) * np.float32(0.5)), doubtful


def to_pixels(squares: Floats, landmarks: Floats) -> Floats:
    """Convert landmarks (N, 5, 2) from shares of the squares (N, 4) to pixels of the photo."""
    side = squares[:, None, 2:] - squares[:, None, :2] + np.float32(1)  # (N, 1, 2)
    points: Floats = side * landmarks + squares[:, None, :2] - np.float32(1)
    return points


def _turns(crops: Floats) -> list[Floats]:
    """Return the crops (N, 48, 48, 4) turned by 90, 180 and 270 degrees."""
    return [np.ascontiguousarray(np.rot90(crops, quarters, (1, 2))) for quarters in (1, 2, 3)]


def _mirror(landmarks: Floats) -> Floats:
    """Return the landmarks (N, 5, 2), as shares of a square, of its mirror image."""
    points = landmarks[:, MIRROR_ORDER]
    points[..., 0] = 1 - points[..., 0]
    return points
