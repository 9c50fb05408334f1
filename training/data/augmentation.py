"""
Random changes of a face crop: pure functions on uint8 RGB.

`augment` and `degrade` map a crop with its margin, (side, side, 3) of its geometry, to a crop, (size, size, 3). The
changes come in the order of a real photo: landmark errors, light, a small or blurred picture, JPEG, and last the
picture's edge, beyond which alignment fills with black. Lengths in px are those of a 112 px crop, and longer in a
larger one; only the widths of small faces are those of the photo.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from app.domain.arrays import Pixels
from app.faces.alignment import Transform, similarity_transform
from training.config.augmentation import AugmentationConfig
from training.data.crops import CROPS_112, CropGeometry


def augment(
    crop: Pixels, config: AugmentationConfig, random: np.random.Generator, geometry: CropGeometry = CROPS_112
) -> Pixels:
    """Return a view of the face: with probability `config.share` a changed one, otherwise the clean crop."""
    if random.random() >= config.share:
        return geometry.center(crop)
    view = _random_affine(crop, config, random, geometry)
    view = _random_light(view, config, random)
    view = _random_degradation(view, config, random, geometry)
    return cut_edges(view, config.edge_depth, random) if random.random() < config.edge_share else view


def degrade(crop: Pixels, *, size: int, quality: int, noise: float, random: np.random.Generator) -> Pixels:
    """Return the degraded probe of the benchmarks: landmarks off by `noise` px, the crop `size` px wide, as a JPEG."""
    return shrink(warp(crop, misalignment(noise, random)), size, quality)


def misalignment(noise: float, random: np.random.Generator, geometry: CropGeometry = CROPS_112) -> Transform:
    """Return the transform to a crop aligned by landmarks that are each off by N(0, `noise`) px of a 112 px crop."""
    template = np.array(geometry.template, np.float32)  # (5, 2)
    error = noise * geometry.scale * random.standard_normal(template.shape, np.float32)
    return similarity_transform(template + geometry.margin + error, template)


def warp(crop: Pixels, transform: Transform, geometry: CropGeometry = CROPS_112) -> Pixels:
    """Warp the crop; what lies beyond the margin is black, as in alignment."""
    return _uint8(cv2.warpAffine(crop, transform, (geometry.size, geometry.size), flags=cv2.INTER_LINEAR))


def adjust_tone(view: Pixels, *, brightness: float, contrast: float, gamma: float) -> Pixels:
    """Map a value v in [0, 1] to ((v - 1/2) * contrast + 1/2 + brightness) ** gamma, clipped."""
    levels = np.linspace(0, 1, 256)
    curve = np.clip((levels - 0.5) * contrast + 0.5 + brightness, 0, 1) ** gamma
    return _uint8(cv2.LUT(view, np.rint(curve * 255).astype(np.uint8)))


def shrink(view: Pixels, size: int, quality: int | None = None) -> Pixels:
    """Return the view as from a picture in which it is `size` px wide, kept as a JPEG of that quality."""
    small = _uint8(cv2.resize(view, (size, size), interpolation=cv2.INTER_AREA))
    small = small if quality is None else jpeg(small, quality)
    return _uint8(cv2.resize(small, view.shape[:2], interpolation=cv2.INTER_LINEAR))


def blur(view: Pixels, sigma: float) -> Pixels:
    """Blur by a Gaussian, `sigma` in px."""
    return _uint8(cv2.GaussianBlur(view, (0, 0), sigma))


def jpeg(view: Pixels, quality: int) -> Pixels:
    _, encoded = cv2.imencode(".jpg", view[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB), np.uint8)


def adjust_color(view: Pixels, *, saturation: float, gains: tuple[float, float, float]) -> Pixels:
    """Map to (grey + (v - grey) * saturation) * gain per channel, clipped; grey is the luma (ITU-R BT.601)."""
    grey = cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    changed = (grey + (view - grey) * saturation) * np.array(gains, np.float32)
    return _uint8(np.rint(changed.clip(0, 255)))


def cut_edges(view: Pixels, depth: float, random: np.random.Generator) -> Pixels:
    """Blacken what lies beyond one to four edges of a tightly cut photo, each up to `depth` of the width inside."""
    size = len(view)
    y, x = np.mgrid[:size, :size] / (size - 1) - 0.5
    tilt = random.normal(0, 0.15)
    kept = np.ones((size, size), bool)
    for side in random.permutation(4)[: random.integers(1, 5)]:
        angle = tilt + side * np.pi / 2
        kept &= x * np.cos(angle) + y * np.sin(angle) <= 0.5 - random.uniform(0, depth)
    return view * kept[..., None].astype(np.uint8)


def _random_affine(
    crop: Pixels, config: AugmentationConfig, random: np.random.Generator, geometry: CropGeometry
) -> Pixels:
    scale, angle = 1 + random.normal(0, config.scale), random.normal(0, config.rotation)
    middle = (geometry.size - 1) / 2
    change = np.asarray(cv2.getRotationMatrix2D((middle, middle), angle, scale), np.float64)
    if config.shift:
        shift = config.shift * geometry.scale
        change[:, 2] += random.uniform(-shift, shift, 2)
    moved = warp(crop, _compose(misalignment(config.landmark_noise, random, geometry), change), geometry)
    return np.ascontiguousarray(moved[:, ::-1]) if random.random() < config.flip else moved


def _compose(first: Transform, second: Transform) -> Transform:
    """Return the (2, 3) transform that applies `first`, then `second`."""
    return second[:, :2] @ first + np.column_stack([np.zeros((2, 2)), second[:, 2]])


def _random_light(view: Pixels, config: AugmentationConfig, random: np.random.Generator) -> Pixels:
    lit = adjust_tone(
        view,
        brightness=random.uniform(-config.brightness, config.brightness),
        contrast=1 + random.uniform(-config.contrast, config.contrast),
        gamma=float(np.exp(random.uniform(-config.gamma, config.gamma))),
    )
    if not (config.saturation or config.tint):
        return lit
    red, green, blue = 1 + random.uniform(-config.tint, config.tint, 3)
    saturation = 1 + random.uniform(-config.saturation, config.saturation)
    return adjust_color(lit, saturation=saturation, gains=(red, green, blue))


def _random_degradation(
    view: Pixels, config: AugmentationConfig, random: np.random.Generator, geometry: CropGeometry
) -> Pixels:
    if random.random() >= config.degraded_share:
        return view
    quality = _random_integer(config.jpeg_quality, random) if random.random() < config.jpeg_share else None
    if random.random() >= config.blur_share:
        return shrink(view, _random_integer(config.face_size, random), quality)
    blurred = blur(view, random.uniform(*config.blur_sigma) * geometry.scale)
    return blurred if quality is None else jpeg(blurred, quality)


def _random_integer(bounds: tuple[int, int], random: np.random.Generator) -> int:
    low, high = bounds
    return int(random.integers(low, high, endpoint=True))


def _uint8(image: NDArray[np.generic]) -> Pixels:
    return image.astype(np.uint8, copy=False)
