"""
Frames of a file, a camera or a stream, read by OpenCV.

A file is read at its own times, however long each frame takes. Whoever reads a camera or a stream slowly gets the
latest frame, and never an old one: a thread reads all frames and keeps only the last.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Protocol

import cv2
import numpy as np

from app.cli.output import CommandError
from app.domain.arrays import Pixels

ASSUMED_RATE = 25.0
"""Frames per second of a file that does not tell."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """An (H, W, 3) RGB frame; `time` is in seconds of the video, `at` when a live one was seen."""

    pixels: Pixels
    time: float
    at: datetime | None = None


class Frames(Protocol):
    def next(self) -> Frame | None:
        """Wait for the next frame; None at the end, or once closed."""

    def close(self) -> None:
        """May be called from another thread."""


def open_frames(source: str, every: float, max_pixels: int) -> Frames:
    """
    Open a file, a camera by its number, or a stream by its address, of which a frame is taken `every` seconds.

    Raises CommandError.
    """
    is_camera, is_stream = source.isdecimal(), "://" in source
    if not (is_camera or is_stream or Path(source).is_file()):
        raise CommandError(f"expected a video file, the number of a camera or an address such as rtsp://, got {source}")
    capture = cv2.VideoCapture(int(source) if is_camera else source)
    if not capture.isOpened():
        capture.release()
        raise CommandError(f"cannot open {source}: {_cure(is_camera=is_camera, is_stream=is_stream)}")
    pixels = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH) * capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    if pixels > max_pixels:
        capture.release()
        raise CommandError(f"expected frames of {max_pixels} pixels at most (LIKENESS_MAX_IMAGE_PIXELS), got {pixels}")
    return LiveFrames(capture, every) if is_camera or is_stream else FileFrames(capture, every)


def _cure(*, is_camera: bool, is_stream: bool) -> str:
    if is_camera:
        return "is a camera of this number connected, and may this user read /dev/video*?"
    return "is the address right, and does the camera answer?" if is_stream else "OpenCV knows no video of this kind"


class FileFrames:
    def __init__(self, capture: cv2.VideoCapture, every: float) -> None:
        self._capture, self._every = capture, every
        self._rate = capture.get(cv2.CAP_PROP_FPS) or ASSUMED_RATE
        self._read, self._due, self._closed = 0, 0.0, False

    def next(self) -> Frame | None:
        while not self._closed and self._capture.grab():
            time, self._read = self._read / self._rate, self._read + 1
            if time + 0.5 / self._rate < self._due:  # nearer to the frame before, or rounding
                continue  # it need not be decoded
            self._due += self._every
            decoded, pixels = self._capture.retrieve()
            if decoded:
                return Frame(_rgb(pixels), time)
        self._capture.release()
        return None

    def close(self) -> None:
        self._closed = True


class LiveFrames:
    """The reading thread is a daemon: a camera that gives no frame must not keep the process from ending."""

    def __init__(self, capture: cv2.VideoCapture, every: float) -> None:
        self._capture, self._every, self._begun = capture, every, monotonic()
        self._changed, self._over, self._due = threading.Condition(), False, self._begun
        self._latest: Frame | None = None
        threading.Thread(target=self._read, name="frames", daemon=True).start()

    def next(self) -> Frame | None:
        with self._changed:
            self._changed.wait_for(lambda: self._over, timeout=max(0.0, self._due - monotonic()))
            self._changed.wait_for(lambda: self._over or self._latest is not None)
            frame, self._latest = self._latest, None
        self._due = monotonic() + self._every
        return None if self._over else frame

    def close(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _read(self) -> None:
        while not self._over:
            decoded, pixels = self._capture.read()
            if not decoded:
                break
            with self._changed:
                self._latest = Frame(_rgb(pixels), monotonic() - self._begun, datetime.now(UTC))
                self._changed.notify_all()
        self.close()
        self._capture.release()


def _rgb(pixels: cv2.typing.MatLike) -> Pixels:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)
