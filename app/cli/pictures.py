"""The pictures that `likeness verify` can write beside its answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.api import responses
from app.cli.drawing import draw_pair, face_of
from app.cli.output import CommandError
from app.cli.plotting import plot_pair
from app.images.decode import ImageLimits, decode
from app.matching.calibration import Calibration
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Pictures:
    """The files to write for the photos with their faces, and for the plot; None for neither."""

    draw: Path | None
    plot: Path | None
    photos: tuple[Path, Path]

    def write(self, answer: responses.Verification, calibration: Calibration | None, limits: ImageLimits) -> None:
        """Raises CommandError if a file cannot be written, or there is nothing to plot."""
        if self.draw:
            photos = [decode(photo.read_bytes(), limits) for photo in self.photos]
            draw_pair(photos, [face_of(face) for face in answer.faces], self.draw)
        if self.plot:
            if calibration is None:
                raise CommandError(
                    f"expected a calibrated model for --plot, got {answer.model.id}: python -m training calibrate"
                )
            plot_pair(answer, calibration, self.plot)


def limits_of(settings: Settings) -> ImageLimits:
    return ImageLimits(settings.max_image_bytes, settings.max_image_pixels)
