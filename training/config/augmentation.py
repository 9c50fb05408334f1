"""The options of `[augmentation]`: random changes of the views."""

from typing import Self

from pydantic import Field, model_validator

from training.config.section import Positive, Section, Share


class AugmentationConfig(Section):
    share: Share = Field(default=0.75, description="Share of the views that are changed at all.")
    flip: Share = Field(default=0.5, description="Of those, the share that is mirrored.")
    landmark_noise: float = Field(
        default=1, ge=0, le=8, description="Standard deviation of each landmark, in px of a 112 px crop."
    )
    shift: float = Field(default=0, ge=0, le=16, description="Largest move of the crop, in px of 112: a random crop.")
    scale: float = Field(default=0.03, ge=0, le=0.2, description="Standard deviation, as a share.")
    rotation: float = Field(default=1.2, ge=0, le=45, description="Standard deviation in degrees.")
    brightness: float = Field(default=0.1, ge=0, le=1, description="Largest shift, as a share of white.")
    contrast: float = Field(default=0.2, ge=0, lt=1, description="Largest change of the slope.")
    gamma: float = Field(default=0.2, ge=0, le=2, description="Largest change of the exponent's logarithm.")
    saturation: Share = Field(default=0, description="Largest change of the distance to grey, as a share.")
    tint: float = Field(default=0, ge=0, lt=1, description="Largest change of each channel, as a share.")
    degraded_share: Share = Field(default=0.35, description="Share of small or blurred views.")
    blur_share: Share = Field(default=0.3, description="Of those, the share that is blurred instead of small.")
    blur_sigma: tuple[Positive, Positive] = Field(default=(0.6, 2.0), description="Range in px of 112.")
    face_size: tuple[int, int] = Field(default=(36, 90), description="Range in px of a small crop's width.")
    jpeg_share: Share = Field(default=0.7, description="Share of degraded views that are kept as JPEG.")
    jpeg_quality: tuple[int, int] = Field(default=(30, 95), description="Range.")
    edge_share: Share = Field(default=0, description="Share of views cut at the photo's edge; targets are not cut.")
    edge_depth: float = Field(default=0.25, ge=0, le=0.5, description="Deepest cut, as a share of the crop's width.")

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Self:
        bounds = {"blur_sigma": (0, 20), "face_size": (8, 112), "jpeg_quality": (1, 100)}
        for name, (least, most) in bounds.items():
            low, high = getattr(self, name)
            if not least <= low <= high <= most:
                raise ValueError(f"{name}: expected {least} <= low <= high <= {most}, got [{low}, {high}]")
        return self
