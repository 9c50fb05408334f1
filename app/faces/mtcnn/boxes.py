"""Box arithmetic of the cascade on (N, 4) float32: left, top, right, bottom. After facenet-pytorch's detect_face.py."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from app.domain.nouns import Floats

Indices = npt.NDArray[np.intp]


def suppress(boxes: Floats, confidences: Floats, overlap: float, mode: Literal["union", "min"] = "union") -> Indices:
    """
    Greedy non-maximum suppression: indices of the boxes kept, most confident first.

    `union` measures overlap as intersection over union, with width = right - left, as torchvision does;
    `min` divides by the smaller box and counts inclusive pixels (right - left + 1), as the last stage does.

    Equal confidences are common where windows are clipped to the same pixels. `union` then prefers the first box;
    `min` sorts by the very call of facenet-pytorch's nms_numpy, because any other order gives another box of the face.
    """
    inclusive = 1.0 if mode == "min" else 0.0
    waiting = np.argsort(confidences)[::-1] if mode == "min" else np.argsort(-confidences, kind="stable")
    left, top, right, bottom = boxes.T
    area = (right - left + inclusive) * (bottom - top + inclusive)
    kept = []
    while waiting.size:
        best, waiting = waiting[0], waiting[1:]
        kept.append(best)
        width = np.minimum(right[best], right[waiting]) - np.maximum(left[best], left[waiting]) + inclusive
        height = np.minimum(bottom[best], bottom[waiting]) - np.maximum(top[best], top[waiting]) + inclusive
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        whole = np.minimum(area[best], area[waiting]) if mode == "min" else area[best] + area[waiting] - shared
        waiting = waiting[shared <= overlap * whole]
    return np.array(kept, dtype=np.intp)


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
    whole = np.trunc(boxes).astype(np.int64)
    start = np.maximum(whole[:, :2], 1) - 1
    stop = np.minimum(whole[:, 2:], [width, height])
    return np.concatenate([start, stop], axis=1)
