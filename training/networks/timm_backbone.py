"""
Any network of timm by its name, `timm:mobilenetv2_100`, with a linear layer to the embedding.

The crop size is that of its ImageNet weights, or another: `timm:mobilenetv2_100@112`.
"""

from __future__ import annotations

import importlib.util
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.errors import TrainingError
from training.networks.embedder import RGB, FaceNetwork

PREFIX = "timm:"


class TimmMissing(TrainingError):
    """timm cannot be imported."""


class UnknownBackbone(TrainingError):
    """timm has no network of this name, or the size is not usable."""


class TimmBackbone(FaceNetwork):
    """Normalises as timm's configuration of the network says; nothing is downloaded."""

    def __init__(self, name: str, embedding_size: int) -> None:
        super().__init__(embedding_size)
        backbone, _, size = name.removeprefix(PREFIX).partition("@")
        self.backbone = create(backbone, embedding_size)
        defaults = self.backbone.default_cfg
        self.crop_size = _crop_size(name, size or str(defaults["input_size"][-1]))
        self.mean, self.std = _scaled(defaults["mean"]), _scaled(defaults["std"])

    def forward(self, pixels: Tensor) -> Tensor:
        y: Tensor = self.backbone(pixels)  # (N, D)
        return y


def create(name: str, embedding_size: int) -> Any:
    """Return timm's network with random weights. Raises TimmMissing or UnknownBackbone."""
    timm = _import_timm()
    names = timm.list_models()
    if name not in names:
        similar = ", ".join(get_close_matches(name, names)) or "see timm.list_models()"
        raise UnknownBackbone(f"timm has no network {name!r}; similar names: {similar}")
    return timm.create_model(name, pretrained=False, num_classes=embedding_size)


def _import_timm() -> Any:
    if importlib.util.find_spec("timm") is None:
        raise TimmMissing("timm is not installed: pip install 'likeness[timm]'")
    _declare_missing_operators()
    try:
        import timm
    except (ImportError, RuntimeError) as error:
        raise TimmMissing(f"timm is installed but does not load: {error}") from error
    return timm


def _declare_missing_operators() -> None:
    """
    Declare two operators of torchvision that no network here calls.

    timm imports torchvision, whose Python part fails if its compiled part does not load, as with PyPI's torchvision and
    a PyTorch for CPUs.
    """
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None or hasattr(torch.ops.torchvision, "nms"):
        return
    try:
        for path in Path(found.origin).parent.glob("_C*.so"):
            torch.ops.load_library(path)  # type: ignore[no-untyped-call]
    except OSError:
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def _crop_size(name: str, text: str) -> int:
    if not text.isdecimal() or not 16 <= int(text) <= 1024:
        raise UnknownBackbone(f"expected timm:NAME@SIZE with a size from 16 to 1024, got {name!r}")
    return int(text)


def _scaled(shares: tuple[float, float, float]) -> RGB:
    """Convert shares of white, 0 to 1, to pixels, 0 to 255."""
    red, green, blue = (255 * share for share in shares)
    return red, green, blue
