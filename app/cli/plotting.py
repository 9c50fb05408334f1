"""A picture of where a pair's distance lies: strangers, pairs of one person, the threshold, and this pair."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from app.api import responses
from app.cli.drawing import write_picture
from app.domain.arrays import Floats
from app.matching.calibration import Calibration

WIDTH, HEIGHT, EDGE, TOP = 900, 420, 50, 90
BINS = 50
Color = tuple[int, int, int]
_WHITE, _INK, _STRANGERS, _ONE_PERSON = (255, 255, 255), (40, 40, 40), (205, 92, 70), (60, 130, 190)


def plot_pair(answer: responses.Verification, calibration: Calibration, path: Path) -> None:
    """
    Write the picture as PNG or JPEG. Raises CommandError if the file cannot be written.

    Threshold offsets are added to the distance, so that one threshold holds for all pairs of the picture.
    """
    base = answer.threshold.base
    score = answer.distance + base - answer.threshold.distance
    edges, strangers, one_person = densities(calibration)
    plot = _Plot(largest=math.ceil(2 * max(float(edges[-1]), score, base)) / 2)
    highest = float(max(strangers.max(), one_person.max()))
    plot.histogram(edges, strangers / highest, _STRANGERS)
    plot.histogram(edges, one_person / highest, _ONE_PERSON)
    plot.axis()
    plot.mark(base, "threshold", 40)
    plot.mark(score, "this pair", 62)
    verdict = "match" if answer.match else "no match"
    plot.text(f"{verdict}: {score:.3f}, threshold {base:.3f}", (EDGE, 24))
    plot.text("pairs of one person", (WIDTH - 310, 24), _ONE_PERSON)
    plot.text("strangers", (WIDTH - 130, 24), _STRANGERS)
    write_picture(plot.canvas, path)


def densities(calibration: Calibration) -> tuple[Floats, Floats, Floats]:
    """
    Return the edges of BINS bins (BINS + 1,), and the shares in each bin (BINS,), those of pairs of strangers first.

    They end with the last threshold that not all strangers are within: beyond, the table has the largest distance only.
    """
    rates = [each for each in calibration.rates if each.fmr < 1]
    thresholds = [each.threshold for each in rates]
    edges = np.linspace(0, thresholds[-1], BINS + 1)
    strangers = _shares(np.interp(edges, thresholds, [each.fmr for each in rates]))
    one_person = _shares(np.interp(edges, thresholds, [1 - each.fnmr for each in rates]))
    return edges.astype(np.float32), strangers, one_person


def _shares(within: npt.NDArray[np.float64]) -> Floats:
    """Return the shares between edges, of shares within each edge; the first bin has those at distance 0 too."""
    within[0] = 0
    return np.diff(within).astype(np.float32)


class _Plot:
    """A white canvas (H, W, 3) with distances from 0 to `largest` along its width."""

    def __init__(self, largest: float) -> None:
        self.canvas, self._largest = np.full((HEIGHT, WIDTH, 3), _WHITE, np.uint8), largest

    def histogram(self, edges: Floats, heights: Floats, color: Color) -> None:
        """Draw heights in [0, 1], half transparent, so that both can be seen where they overlap."""
        bottom = HEIGHT - EDGE
        corners = [(self._x(0), bottom)]
        for left, right, height in zip(edges[:-1].tolist(), edges[1:].tolist(), heights.tolist(), strict=True):
            y = round(bottom - height * (bottom - TOP))
            corners += [(self._x(left), y), (self._x(right), y)]
        points = np.array([*corners, (self._x(float(edges[-1])), bottom)], np.int32)
        filled = self.canvas.copy()
        cv2.fillPoly(filled, [points], color)
        cv2.addWeighted(filled, 0.5, self.canvas, 0.5, 0, dst=self.canvas)
        cv2.polylines(self.canvas, [points], isClosed=False, color=color, thickness=2, lineType=cv2.LINE_AA)

    def axis(self) -> None:
        bottom = HEIGHT - EDGE
        cv2.line(self.canvas, (self._x(0), bottom), (self._x(self._largest), bottom), _INK, 1)
        for tick in np.arange(0, self._largest + 0.1, 0.5).tolist():
            x = self._x(tick)
            cv2.line(self.canvas, (x, bottom), (x, bottom + 5), _INK, 1)
            self.text(f"{tick:.1f}", (x - 12, bottom + 24))
        self.text("distance (squared L2), threshold offsets added", (WIDTH - 430, HEIGHT - 8))

    def mark(self, value: float, name: str, y: int) -> None:
        x = self._x(value)
        cv2.line(self.canvas, (x, y), (x, HEIGHT - EDGE), _INK, 2)
        self.text(name, (x + 6, y + 10))

    def text(self, text: str, at: tuple[int, int], color: Color = _INK) -> None:
        cv2.putText(self.canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, color, 1, cv2.LINE_AA)

    def _x(self, value: float) -> int:
        return round(EDGE + value / self._largest * (WIDTH - 2 * EDGE))
