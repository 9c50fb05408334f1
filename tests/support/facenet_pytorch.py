"""facenet-pytorch as a reference, where torchvision cannot load: it needs just two of its functions."""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
import types
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor


def load_mtcnn(**options: Any) -> Any:
    """facenet-pytorch's own MTCNN, with `options` as its constructor takes them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it loads its weights without weights_only
        return package().MTCNN(**options)


def package() -> Any:
    """facenet-pytorch. What stands in for torchvision is gone again afterwards: timm needs the real one."""
    if "facenet_pytorch" not in sys.modules:
        stand_ins = _stand_ins()
        there = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "torchvision"}
        sys.modules.update(stand_ins)
        importlib.import_module("facenet_pytorch")
        for name in stand_ins:
            del sys.modules[name]
        sys.modules.update(there)
    return sys.modules["facenet_pytorch"]


def _stand_ins() -> dict[str, types.ModuleType]:
    parts = {
        name: _module(name)
        for name in (
            "torchvision",
            "torchvision.ops",
            "torchvision.ops.boxes",
            "torchvision.transforms",
            "torchvision.transforms.functional",
        )
    }
    parts["torchvision.ops.boxes"].batched_nms = batched_nms  # type: ignore[attr-defined]
    parts["torchvision.transforms.functional"].to_tensor = to_tensor  # type: ignore[attr-defined]
    parts["torchvision.transforms"].functional = parts["torchvision.transforms.functional"]  # type: ignore[attr-defined]
    parts["torchvision.ops"].boxes = parts["torchvision.ops.boxes"]  # type: ignore[attr-defined]
    return parts


def _module(name: str) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    return module


def to_tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image.transpose(2, 0, 1))


def batched_nms(boxes: Tensor, scores: Tensor, groups: Tensor, overlap: float) -> Tensor:
    """torchvision's documented semantics, as the plainest loop: keep by falling score, drop what overlaps by more."""
    order = scores.argsort(descending=True, stable=True).tolist()
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    gone = torch.zeros(len(boxes), dtype=torch.bool)
    for index in order:
        if gone[index]:
            continue
        kept.append(index)
        corner = torch.maximum(boxes[index, :2], boxes[:, :2])
        extent = (torch.minimum(boxes[index, 2:], boxes[:, 2:]) - corner).clamp(min=0)
        shared = extent[:, 0] * extent[:, 1]
        gone |= (shared / (areas[index] + areas - shared) > overlap) & (groups == groups[index])
    return torch.tensor(kept, dtype=torch.int64)
