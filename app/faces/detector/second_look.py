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
EYES_TO_MOUTH = (0.23, 0.49)
"""The distance from the middle of the eyes to that of the mouth, as a share of the box: 0.25 to 0.47 in 792 faces."""
NOSE_FROM_EYES = (0.1, 0.95)
"""How far down from the eyes to the mouth the nose is: 0.20 to 0.84 in the same faces."""


def look_again(
    onet: OutputNet, photo: Pooling, boxes: Floats, probabilities: Floats, cut: npt.NDArray[np.bool_]
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """
    Return O-Net's landmarks (N, 5, 2) around each box (N, 4), and which faces are doubtful.

    Boxes `cut` by the edge are moved before. A face is doubtful if it is improbable, if its landmarks are not those of
    a face, or if a look at it was unsure and one at the turned crop is surer: so are 1 % of upright faces, and 95 % of
    what MTCNN finds in turned photos.
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
    landmarks = to_pixels(squares, (original + _mirror(mirrored)) * np.float32(0.5))
    return landmarks, doubtful | ~plausible(boxes, landmarks)


def plausible(boxes: Floats, landmarks: Floats) -> npt.NDArray[np.bool_]:
    """Return which landmarks (N, 5, 2) in boxes (N, 4) lie to each other as those of a face do, turned by any angle."""
    eyes, mouth = landmarks[:, :2].mean(1), landmarks[:, 3:].mean(1)
    down, across = mouth - eyes, landmarks[:, 1] - landmarks[:, 0]
    length = np.maximum(np.linalg.norm(down, axis=1), np.float32(1e-6))
    share = length / np.maximum((boxes[:, 2:] - boxes[:, :2]).max(1), np.float32(1e-6))
    nose = ((landmarks[:, 2] - eyes) * down).sum(1) / length**2
    is_no_mirror_image = across[:, 0] * down[:, 1] > across[:, 1] * down[:, 0]
    return np.asarray(_within(share, EYES_TO_MOUTH) & _within(nose, NOSE_FROM_EYES) & is_no_mirror_image, bool)


def _within(values: Floats, bounds: tuple[float, float]) -> npt.NDArray[np.bool_]:
    return np.asarray((values >= bounds[0]) & (values <= bounds[1]))


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
