"""
MTCNN (Zhang et al. 2016) on ONNX Runtime; it can find exactly the boxes of facenet-pytorch 2.6.0.

How others do it, and what we chose: facenet-pytorch and insightface's old MTCNN resize the photo once a level and cut
every crop out of it in a Python loop; their users complain of time that grows with the photo, and of a crash where a
candidate lies outside it. Here one integral image serves all levels and crops, candidates are arrays throughout, and
empty windows are dropped. With facenet-pytorch's options boxes are equal to 0.01 px (tests/faces/mtcnn/test_parity.py).
The service looks at fewer levels (`SERVED`), which moves boxes a little and finds the same faces: what it gives up
stands in docs/evaluation.md.

Its landmarks are read once, in a square that the box has since left, and they are noisy: 1.3 px of the 112 px crop on
LFW; where the photo's edge cuts the face, what is left is stretched to O-Net's square (Zhang's own code, and
davidsandberg's, fill up with black) and they are 9 px off. So every face is looked at again, in the square round its
box and in that square's mirror image, with black beyond the edge. The mean of both is what it is aligned by
(`Face.refined`); its box and the landmarks that we report stay as they are. docs/evaluation.md says what it is worth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.domain.models import Box, Face, Floats, Landmarks, Pixels
from app.faces.mtcnn import boxes as box
from app.faces.mtcnn.nets import OutputNet, ProposalNet, RefineNet
from app.faces.mtcnn.pyramid import CELL, AreaPooling, Rooms, reduced, scales

STRIDE = 2  # P-Net's step, in pixels of a level
PLACINGS = 2  # of the box of a face that the edge cuts, before its landmarks are read again
MIRRORED = [1, 0, 2, 4, 3]  # which landmark of the mirror image each one is
ENOUGH = 20.0  # pixels that the smallest face keeps where a photo is reduced
LEVEL_OVERLAP, OVERLAP = 0.5, 0.7  # boxes that overlap by more are one: within a level, and from then on


@dataclass(frozen=True, slots=True)
class CascadeOptions:
    """
    Defaults are facenet-pytorch's; two bounds are ours, so that no photo can take all time and memory.

    Where the first level would have more than `max_level_pixels`, `min_face` is raised until it fits. Where that leaves
    no face below 40 px, the photo is first reduced to a half, a third and so on: from 11 megapixels up by default.
    Of more than `max_candidates` on a level, or on all, the most probable are kept; a photo of a crowd has about 1,000.
    `to_the_last` adds a level for faces as large as the photo, where `factor` leaves them between the last level and
    none. Without `second_look` faces are aligned by the landmarks that facenet-pytorch finds.
    """

    min_face: float = 20.0
    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7)
    factor: float = 0.709
    to_the_last: bool = False
    max_level_pixels: int = 1_000_000
    max_candidates: int = 5_000
    second_look: bool = True

    def min_face_in(self, height: int, width: int) -> float:
        """The smallest face looked for in a photo of this size, in pixels."""
        return max(self.min_face, self._raised(height, width))

    def reduction_in(self, height: int, width: int) -> int:
        """Pixels of the photo that become one, each way, before any face is looked for."""
        return max(1, int(self._raised(height, width) / ENOUGH))

    def _raised(self, height: int, width: int) -> float:
        return CELL * math.sqrt(height * width / self.max_level_pixels)


SERVED = CascadeOptions(min_face=40.0, thresholds=(0.7, 0.7, 0.7), factor=0.68, to_the_last=True)
"""The service's: fewer levels and candidates, and on real photos the same people found (docs/evaluation.md)."""


def looking_from(min_face: float | None) -> CascadeOptions:
    """Return the service's options, or, if a smallest face is given, facenet-pytorch's, which find the same boxes."""
    return SERVED if min_face is None else CascadeOptions(min_face=min_face)


class Mtcnn:
    """Finds faces with five landmarks. Thread-safe: a call keeps its state to itself."""

    def __init__(
        self, pnet: ProposalNet, rnet: RefineNet, onet: OutputNet, options: CascadeOptions | None = None
    ) -> None:
        self._pnet, self._rnet, self._onet = pnet, rnet, onet
        self._options = options or CascadeOptions()
        self._rooms = Rooms()

    def detect(self, image: Pixels) -> list[Face]:
        """Every face of an upright (H, W, 3) uint8 RGB photo, largest first."""
        height, width = image.shape[:2]
        by = self._options.reduction_in(height, width)
        image = reduced(image, by)
        with self._rooms.lent(image) as room:
            photo = AreaPooling(image, room)
            candidates = self._propose(photo, self._options.min_face_in(height, width) / by)
            candidates = self._refine(photo, candidates)
            faces = [_enlarged(face, by) for face in self._output(photo, candidates)]
        return sorted(faces, key=lambda face: -face.box.area)

    def _propose(self, photo: AreaPooling, smallest: float) -> Floats:
        """Squares (N, 4) that P-Net takes for faces."""
        factor = self._options.factor
        sizes = scales(photo.height, photo.width, smallest, factor, to_the_last=self._options.to_the_last)
        levels = [self._propose_at(photo, scale) for scale in sizes]
        found = self._most_probable(np.concatenate([np.empty((0, 9), np.float32), *levels]))
        found = found[box.suppress(found[:, :4], found[:, 4], OVERLAP)]
        return box.squared(box.shifted(found[:, :4], found[:, 5:], inclusive=False))

    def _propose_at(self, photo: AreaPooling, scale: float) -> Floats:
        """Candidates of one level (N, 9): box in the photo, probability, four offsets."""
        level = photo.level(int(photo.height * scale + 1), int(photo.width * scale + 1))
        logits, offsets = self._pnet(level)
        rows, columns = np.nonzero(logits >= _logit(self._options.thresholds[0]))
        corner = np.stack([columns, rows, columns, rows], axis=1) * STRIDE + [1, 1, CELL, CELL]
        boxes = np.floor(corner.astype(np.float32) / np.float32(scale))
        found = np.concatenate(
            [boxes, _probabilities(logits[rows, columns, None]), offsets[:, rows, columns].T], axis=1, dtype=np.float32
        )
        found = self._most_probable(found)
        return found[box.suppress(found[:, :4], found[:, 4], LEVEL_OVERLAP)]

    def _most_probable(self, found: Floats) -> Floats:
        """The candidates (N, 9), or the most probable of too many, in their order."""
        most = self._options.max_candidates
        if len(found) <= most:
            return found
        return found[np.sort(np.argpartition(-found[:, 4], most)[:most])]

    def _refine(self, photo: AreaPooling, candidates: Floats) -> Floats:
        """The squares (N, 4) that R-Net keeps, moved to the face."""
        candidates, crops = _cut(photo, candidates, 24)
        if not len(candidates):
            return candidates
        probabilities, offsets = self._rnet(crops)
        sure = probabilities > self._options.thresholds[1]
        candidates, probabilities, offsets = candidates[sure], probabilities[sure], offsets[sure]
        kept = box.suppress(candidates, probabilities, OVERLAP)
        return box.squared(box.shifted(candidates[kept], offsets[kept], inclusive=True))

    def _output(self, photo: AreaPooling, candidates: Floats) -> list[Face]:
        candidates, crops = _cut(photo, candidates, 48)
        if not len(candidates):
            return []
        probabilities, offsets, landmarks = self._onet(crops)
        sure = probabilities > self._options.thresholds[2]
        candidates, probabilities, offsets = candidates[sure], probabilities[sure], offsets[sure]
        points = _points(candidates, landmarks[sure])
        boxes = box.shifted(candidates, offsets, inclusive=True)
        kept = box.suppress(boxes, probabilities, OVERLAP, "min")
        boxes, points, probabilities = boxes[kept], points[kept], probabilities[kept]
        refined: list[Landmarks | None] = [None] * len(kept)
        if self._options.second_look and len(kept):
            again = self._second_look(photo, boxes, _cut_by_edge(photo, candidates[kept]))
            refined = [Landmarks(each) for each in again]
        return [
            Face(Box(*map(float, corners)), Landmarks(five), float(probability), better)
            for corners, five, probability, better in zip(boxes, points, probabilities, refined, strict=True)
        ]

    def _second_look(self, photo: AreaPooling, boxes: Floats, cut: npt.NDArray[np.bool_]) -> Floats:
        """Landmarks (N, 5, 2) as O-Net sees them round each box (N, 4); those `cut` by the edge are placed first."""
        squares = box.squared(boxes)
        for _ in range(PLACINGS if cut.any() else 0):
            _, offsets, _ = self._onet(_looked_at(photo, squares[cut]))
            squares[cut] = box.squared(box.shifted(squares[cut], offsets, inclusive=True))
        crops = _looked_at(photo, squares)
        _, _, straight = self._onet(crops)
        _, _, turned = self._onet(np.ascontiguousarray(crops[:, :, ::-1]))
        return _points(squares, (straight + _mirrored(turned)) * np.float32(0.5))


def _looked_at(photo: AreaPooling, squares: Floats) -> Floats:
    """O-Net's crops (N, 48, 48, 4) of squares (N, 4) that may reach beyond the photo, which is black there."""
    return photo.crops(box.whole_windows(squares), 48)


def _mirrored(landmarks: Floats) -> Floats:
    """Landmarks (N, 5, 2) of a mirror image, as shares of its square, in what it is the mirror image of."""
    points = landmarks[:, MIRRORED]
    points[..., 0] = 1 - points[..., 0]
    return points


def _enlarged(face: Face, by: int) -> Face:
    """A face of a photo reduced `by`, where it is in the whole. Pixel n, from one, was by * n - by + 1 to by * n."""
    if by == 1:
        return face
    left, top, right, bottom = face.box.left, face.box.top, face.box.right, face.box.bottom
    whole = Box(by * left - by + 1, by * top - by + 1, by * right, by * bottom)

    def enlarged(landmarks: Landmarks) -> Landmarks:
        return Landmarks(landmarks.points * np.float32(by) - np.float32((by - 1) / 2))

    refined = enlarged(face.refined) if face.refined else None
    return Face(whole, enlarged(face.landmarks), face.confidence, refined)


def _points(squares: Floats, landmarks: Floats) -> Floats:
    """Landmarks (N, 5, 2) in the photo, given as shares of the squares (N, 4)."""
    side = squares[:, None, 2:] - squares[:, None, :2] + np.float32(1)  # (N, 1, 2)
    points: Floats = side * landmarks + squares[:, None, :2] - np.float32(1)
    return points


def _cut_by_edge(photo: AreaPooling, squares: Floats) -> npt.NDArray[np.bool_]:
    """Which of the squares (N, 4) reach beyond the photo."""
    beyond = box.whole_windows(squares) - box.windows(squares, photo.height, photo.width)  # (N, 4)
    cut: npt.NDArray[np.bool_] = np.any(beyond, axis=1)
    return cut


def _logit(probability: float) -> np.float32:
    return np.float32(math.log(probability / (1 - probability)) if probability > 0 else -math.inf)


def _probabilities(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def _cut(photo: AreaPooling, candidates: Floats, size: int) -> tuple[Floats, Floats]:
    """The candidates that touch the photo, and their crops (N, size, size, 4)."""
    windows = box.windows(candidates, photo.height, photo.width)
    touching = (windows[:, 2:] > windows[:, :2]).all(axis=1)
    return candidates[touching], photo.crops(windows[touching], size)
