"""Non-maximum suppression and box arithmetic on (N, 4) float32: left, top, right, bottom.

After facenet-pytorch's detect_face.py.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from app.domain.arrays import Floats
from app.faces.detector.kernels import load_kernels

_BLOCK = 512  # boxes compared in one matrix

Indices = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]
Windows = npt.NDArray[np.int64]
"""(N, 4) left, top, right, bottom in pixels from zero, half-open."""


def nms(boxes: Floats, confidences: Floats, overlap: float, mode: Literal["union", "min"] = "union") -> Indices:
    """
    Return the indices of the boxes kept by greedy non-maximum suppression, most confident first.

    `union` measures overlap as intersection over union, with width = right - left, as torchvision does;
    `min` divides by the smaller box and counts inclusive pixels (right - left + 1), as the last stage does.

    Equal confidences are common where windows are clipped to the same pixels. `union` then prefers the first box;
    `min` sorts by the same call as facenet-pytorch's nms_numpy, because another order gives another box of the face.
    """
    order = np.argsort(confidences)[::-1] if mode == "min" else np.argsort(-confidences, kind="stable")
    if compiled := load_kernels():
        return compiled.nms(boxes, order, overlap, inclusive=mode == "min")
    return _nms(boxes, order, overlap, mode)


def _nms(boxes: Floats, order: Indices, overlap: float, mode: Literal["union", "min"]) -> Indices:
    kept: list[Indices] = []
    while order.size:  # compare the first block with itself, then what it keeps with all later boxes
        block, order = order[:_BLOCK], order[_BLOCK:]
        kept.append(block[_keep_greedily(_overlaps(boxes[block], boxes[block], overlap, mode))])
        if order.size:
            order = order[~_overlaps(boxes[kept[-1]], boxes[order], overlap, mode).any(axis=0)]
    return np.concatenate([np.empty(0, np.intp), *kept])


def _keep_greedily(overlaps: Mask) -> Mask:
    """Return which boxes are kept (N,), if each kept box drops the later ones that it overlaps (N, N)."""
    kept, apart = np.ones(len(overlaps), np.bool_), ~overlaps
    with_others = np.count_nonzero(overlaps, axis=1) > overlaps.diagonal()  # most in a level, few in later steps
    for index in np.flatnonzero(with_others).tolist():
        if kept[index]:
            kept[index + 1 :] &= apart[index, index + 1 :]
    return kept


def _overlaps(boxes: Floats, others: Floats, overlap: float, mode: Literal["union", "min"]) -> Mask:
    """Return whether each of the boxes (N, 4) overlaps each of the others (M, 4) by more than `overlap`: (N, M)."""
    inclusive = np.float32(1 if mode == "min" else 0)
    a, b = boxes.T[:, :, None], others.T[:, None, :]  # (4, N, 1), (4, 1, M)
    width = np.minimum(a[2], b[2]) - np.maximum(a[0], b[0]) + inclusive  # (N, M)
    height = np.minimum(a[3], b[3]) - np.maximum(a[1], b[1]) + inclusive
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    areas = [(each[2] - each[0] + inclusive) * (each[3] - each[1] + inclusive) for each in (a, b)]
    whole = np.minimum(*areas) if mode == "min" else areas[0] + areas[1] - shared
    return np.asarray(shared > np.float32(overlap) * whole)


def to_square(boxes: Floats) -> Floats:
    """Grow each box about its centre to a square of its longer side."""
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    side = np.maximum(width, height)
    left = boxes[:, 0] + width * np.float32(0.5) - side * np.float32(0.5)
    top = boxes[:, 1] + height * np.float32(0.5) - side * np.float32(0.5)
    return np.stack([left, top, left + side, top + side], axis=1)


def apply_offsets(boxes: Floats, offsets: Floats, *, inclusive: bool) -> Floats:
    """Move each side by its offset (N, 4), given as a share of the box's width or height."""
    extra = np.float32(1 if inclusive else 0)
    width, height = boxes[:, 2] - boxes[:, 0] + extra, boxes[:, 3] - boxes[:, 1] + extra
    return boxes + offsets * np.stack([width, height, width, height], axis=1)


def windows(boxes: Floats) -> Windows:
    """Return the pixels under each box, which may lie beyond the photo."""
    return np.trunc(boxes).astype(np.int64) - np.array([1, 1, 0, 0], np.int64)


def clipped_windows(boxes: Floats, height: int, width: int) -> Windows:
    """Return the pixels of the photo under each box; empty where a box lies outside."""
    return windows(boxes).clip(0, [width, height, width, height])
