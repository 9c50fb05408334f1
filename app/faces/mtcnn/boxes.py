"""Box arithmetic of the cascade on (N, 4) float32: left, top, right, bottom. After facenet-pytorch's detect_face.py."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from app.domain.models import Floats

_AT_ONCE = 512  # boxes compared in one matrix

Indices = npt.NDArray[np.intp]


def suppress(boxes: Floats, confidences: Floats, overlap: float, mode: Literal["union", "min"] = "union") -> Indices:
    """
    Greedy non-maximum suppression: indices of the boxes kept, most confident first.

    `union` measures overlap as intersection over union, with width = right - left, as torchvision does;
    `min` divides by the smaller box and counts inclusive pixels (right - left + 1), as the last stage does.

    Equal confidences are common where windows are clipped to the same pixels. `union` then prefers the first box;
    `min` sorts by the very call of facenet-pytorch's nms_numpy, because any other order gives another box of the face.
    """
    order = np.argsort(confidences)[::-1] if mode == "min" else np.argsort(-confidences, kind="stable")
    kept: list[Indices] = []
    while order.size:  # the first of those left are compared with one another, then with the rest
        first, order = order[:_AT_ONCE], order[_AT_ONCE:]
        alive = _greedy(_overlapping(boxes[first], boxes[first], overlap, mode))
        kept.append(first[alive])
        if order.size:
            order = order[~_overlapping(boxes[kept[-1]], boxes[order], overlap, mode).any(axis=0)]
    return np.concatenate([np.empty(0, np.intp), *kept])


def _greedy(overlapping: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Who is kept when, in order, each who is kept drops all that it overlaps: (N, N) -> (N,)."""
    alive, apart = np.ones(len(overlapping), np.bool_), ~overlapping
    with_others = np.count_nonzero(overlapping, axis=1) > overlapping.diagonal()  # most, on a level; few from then on
    for place in np.flatnonzero(with_others).tolist():
        if alive[place]:
            alive[place + 1 :] &= apart[place, place + 1 :]
    return alive


def _overlapping(boxes: Floats, others: Floats, overlap: float, mode: Literal["union", "min"]) -> npt.NDArray[np.bool_]:
    """Whether each of the boxes (N, 4) overlaps each of the others (M, 4) too much: (N, M)."""
    inclusive = np.float32(1 if mode == "min" else 0)
    a, b = boxes.T[:, :, None], others.T[:, None, :]  # (4, N, 1), (4, 1, M)
    width = np.minimum(a[2], b[2]) - np.maximum(a[0], b[0]) + inclusive  # (N, M)
    height = np.minimum(a[3], b[3]) - np.maximum(a[1], b[1]) + inclusive
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    areas = [(each[2] - each[0] + inclusive) * (each[3] - each[1] + inclusive) for each in (a, b)]
    whole = np.minimum(*areas) if mode == "min" else areas[0] + areas[1] - shared
    return np.asarray(shared > np.float32(overlap) * whole)


def squared(boxes: Floats) -> Floats:
    """Each box grown about its centre to a square of its longer side."""
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    side = np.maximum(width, height)
    left = boxes[:, 0] + width * np.float32(0.5) - side * np.float32(0.5)
    top = boxes[:, 1] + height * np.float32(0.5) - side * np.float32(0.5)
    return np.stack([left, top, left + side, top + side], axis=1)


def shifted(boxes: Floats, offsets: Floats, *, inclusive: bool) -> Floats:
    """Each side moved by its offset (N, 4), given as a share of the box's width or height."""
    extra = np.float32(1 if inclusive else 0)
    width, height = boxes[:, 2] - boxes[:, 0] + extra, boxes[:, 3] - boxes[:, 1] + extra
    return boxes + offsets * np.stack([width, height, width, height], axis=1)


def windows(boxes: Floats, height: int, width: int) -> npt.NDArray[np.int64]:
    """The pixels of the photo under each box: left, top, right, bottom, half-open; empty where a box lies outside."""
    return whole_windows(boxes).clip(0, [width, height, width, height])


def whole_windows(boxes: Floats) -> npt.NDArray[np.int64]:
    """As above, not cut to the photo."""
    return np.trunc(boxes).astype(np.int64) - np.array([1, 1, 0, 0], np.int64)
