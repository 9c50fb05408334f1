"""`likeness watch` on a clip of two people, with the real detector and model."""

import base64
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from app.cli.video.frames import FileFrames, Frame
from app.cli.video.webhook import read_secret, signature
from app.domain.arrays import Pixels
from tests.support.clips import write_clip
from tests.support.receiver import Posted, receiving
from tests.unit.cli.conftest import Command

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
def clip(tmp_path: Path, hopper: Pixels, collins: Pixels) -> Path:
    """Hopper, then both, then Collins alone: 2 seconds."""
    frames = [
        [(hopper, 4 * number)] * (number < 6) + [(collins, 320 - 3 * number)] * (number >= 3) for number in range(10)
    ]
    return write_clip(tmp_path / "clip.avi", frames)


@pytest.fixture
def enrolled(likeness: Command, hopper: Pixels) -> Command:
    folder = likeness.photo("people/grace/1.png", hopper).parents[1]
    assert likeness("enroll", folder).exit_code == 0
    return likeness


def events(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_each_person_is_one_track_and_identified_once(enrolled: Command, clip: Path) -> None:
    done = enrolled("watch", clip, "--after", 3, "--gone", 0.5)
    assert done.exit_code == 0, done.output
    seen = events(done.stdout)
    assert [(each["event"], each["track"], each["time"]) for each in seen] == [
        ("start", 1, 0.0),
        ("identified", 1, 0.4),
        ("start", 2, 0.6),
        ("identified", 2, 1.0),
        ("end", 1, 1.6),
        ("end", 2, 1.8),
    ]
    assert [each["subject"] for each in seen if each["event"] == "identified"] == ["grace", None]
    assert seen[1]["distance"] <= seen[1]["threshold"]
    assert (seen[4]["subject"], seen[4]["started"], seen[4]["seen"], seen[4]["sightings"]) == ("grace", 0.0, 1.0, 6)
    assert done.stderr == "10 frames, 2 tracks, 1 of them named\n"


def test_a_signal_ends_tracks_and_the_command(enrolled: Command, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signal comes with the third frame; without it, every track would be identified before it ends."""
    read = FileFrames.next

    def interrupted(self: FileFrames) -> Frame | None:
        if self._read == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return read(self)

    monkeypatch.setattr(FileFrames, "next", interrupted)
    done = enrolled("watch", clip, "--after", 0)
    assert done.exit_code == 0, done.output
    seen = events(done.stdout)
    assert [each["event"] for each in seen] == ["start", "identified", "end"]
    assert seen[1]["subject"] == "grace"
    assert seen[-1]["time"] < 1.8


def test_webhook_gets_what_is_printed(enrolled: Command, clip: Path) -> None:
    posted: list[Posted] = []
    with receiving(posted) as url:
        done = enrolled("watch", clip, "--webhook", url, webhook_secret=SECRET)
    assert done.exit_code == 0, done.output
    assert [json.loads(body) for _, body in posted] == events(done.stdout)
    for headers, body in posted:
        message_id, timestamp = headers["webhook-id"], int(headers["webhook-timestamp"])
        assert headers["webhook-signature"] == signature(read_secret(SECRET), message_id, timestamp, body)


def test_webhook_needs_a_secret_and_its_loss_is_told(enrolled: Command, clip: Path) -> None:
    refused = enrolled("watch", clip, "--webhook", "http://127.0.0.1:1/hook")
    assert (refused.exit_code, "expected LIKENESS_WEBHOOK_SECRET" in refused.stderr) == (2, True)
    done = enrolled("watch", clip, "--webhook", "ftp://127.0.0.1/hook", webhook_secret=SECRET)
    assert done.exit_code == 0, done.output
    assert len(events(done.stdout)) == 6
    assert "6 events were not delivered" in done.stderr
