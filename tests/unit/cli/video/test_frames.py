"""A file gives its frames by its own times; a live source gives the latest, and ends when it is closed."""

import threading
from pathlib import Path

import numpy as np
import pytest

from app.cli.output import CommandError
from app.cli.video.frames import LiveFrames, open_frames
from app.domain.arrays import Pixels
from tests.support.clips import write_clip


class Camera:
    """Gives black to white frames as fast as they are read, until `over`; counts them."""

    def __init__(self) -> None:
        self.read_frames = 0
        self.fifty, self.over, self.released = threading.Event(), threading.Event(), threading.Event()

    def read(self) -> tuple[bool, Pixels]:
        self.over.wait(0.001)
        self.read_frames += 1
        if self.read_frames == 50:
            self.fifty.set()
        return not self.over.is_set(), np.full((4, 4, 3), min(self.read_frames, 255), np.uint8)

    def release(self) -> None:
        self.released.set()


def test_frames_of_a_file_are_taken_by_its_times(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.avi", [[]] * 11)  # 5 a second
    frames = open_frames(str(clip), every=0.4, max_pixels=10**6)
    times = [frame.time for frame in iter(frames.next, None)]
    assert times == pytest.approx([0.0, 0.4, 0.8, 1.2, 1.6, 2.0])


def test_a_slow_reader_of_a_camera_gets_the_latest_frame() -> None:
    camera = Camera()
    frames = LiveFrames(camera, every=0)  # type: ignore[arg-type]
    first = frames.next()
    assert camera.fifty.wait(30)
    later = frames.next()
    assert first and later and later.pixels.max() >= 49  # noqa: PT018
    frames.close()
    assert frames.next() is None
    assert camera.released.wait(30)


def test_the_end_of_a_stream_ends_the_reading() -> None:
    camera = Camera()
    frames = LiveFrames(camera, every=0)  # type: ignore[arg-type]
    camera.over.set()
    while frames.next():
        pass
    assert camera.released.wait(30)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nothing.avi", "expected a video file, the number of a camera or an address"),
        (__file__, "OpenCV knows no video of this kind"),
        ("98", "is a camera of this number connected"),
    ],
)
def test_a_source_that_cannot_be_opened_is_told_with_a_cure(source: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        open_frames(source, every=0, max_pixels=10**6)


def test_frames_beyond_the_limit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="expected frames of 1000 pixels at most"):
        open_frames(str(write_clip(tmp_path / "clip.avi", [[]])), every=0, max_pixels=1000)
