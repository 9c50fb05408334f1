"""The lists of IJB-B and IJB-C as insightface publishes them: faces, media, and pairs of templates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.domain.arrays import Floats
from training.errors import TrainingError

Numbers = NDArray[np.int64]


class UnusableTemplates(TrainingError):
    """A list of the protocol cannot be used; the message names it, and the line."""


@dataclass(frozen=True)
class TemplateFaces:
    """N faces with their landmarks (N, 5, 2), detection scores, templates and media."""

    images: tuple[str, ...]
    landmarks: Floats
    scores: Floats
    template_of: Numbers
    medium_of: Numbers

    def check_known(self, templates: Numbers, source: str) -> None:
        """Raise UnusableTemplates if any of the templates that `source` names has no image."""
        if unknown := np.setdiff1d(templates, self.template_of).tolist():
            raise UnusableTemplates(f"{source}: {len(unknown)} templates have no image, such as {unknown[0]}")


@dataclass(frozen=True)
class TemplatePairs:
    """Pairs of templates, and whether each is of one person."""

    first: Numbers
    second: Numbers
    same: NDArray[np.bool_]


def read_faces(faces: Path, media: Path) -> TemplateFaces:
    """Read `image x1 y1 ... x5 y5 score` and `image template medium`, in one order. Raises UnusableTemplates."""
    rows, media_rows = _rows(faces, 12), _rows(media, 3)
    images = tuple(row[0] for row in rows)
    if images != tuple(row[0] for row in media_rows):
        raise UnusableTemplates(f"expected {faces} and {media} to list the same images in one order")
    numbers = _numbers(faces, [row[1:] for row in rows]).astype(np.float32)  # (N, 11)
    template_of, medium_of = _numbers(media, [row[1:] for row in media_rows]).astype(np.int64).T
    points = numbers[:, :10].reshape(-1, 5, 2)
    return TemplateFaces(images, points, numbers[:, 10], template_of, medium_of)


def read_template_pairs(path: Path) -> TemplatePairs:
    """Read lines `template template 1`; IJB-C has 16 million. Raises UnusableTemplates."""
    try:
        numbers = np.loadtxt(path, dtype=np.int64, ndmin=2)
    except (OSError, ValueError) as error:
        raise UnusableTemplates(f"cannot read {path}: {error}") from error
    if numbers.shape[1:] != (3,):
        raise UnusableTemplates(f"{path}: expected 3 columns, got {numbers.shape[1]}")
    first, second, same = numbers.T
    if not 0 < same.sum() < len(same):
        raise UnusableTemplates(f"{path}: expected genuine and impostor pairs")
    return TemplatePairs(first, second, same == 1)


def _rows(path: Path, columns: int) -> list[list[str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableTemplates(f"cannot read {path}: {error}") from error
    rows = [line.split() for line in lines]
    if not rows:
        raise UnusableTemplates(f"{path}: expected {columns} columns a line, got no line")
    for number, row in enumerate(rows, start=1):
        if len(row) != columns:
            raise UnusableTemplates(f"{path}, line {number}: expected {columns} columns, got {len(row)}")
    return rows


def _numbers(path: Path, rows: list[list[str]]) -> NDArray[np.float64]:
    try:
        return np.array(rows, dtype=np.float64)
    except ValueError as error:
        raise UnusableTemplates(f"{path}: expected numbers: {error}") from error
