"""Every hostile file of shared/data is answered in words, in time and in bounded memory."""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx2
import pytest

from .contract import verification
from .likeness import Likeness, at_once
from .photos import another, hopper, jpeg, scaled, shared
from .server import MIB

HOPPER = jpeg(scaled(hopper(), 0.4))
GROUPS = 8
ANSWERED_WITHIN = 5.0
MEMORY = 1536 * MIB


@dataclass(frozen=True)
class Reply:
    """One file sent one way, and how it ended."""

    way: str
    file: str
    seconds: float
    status: int
    kind: str
    text: str

    def is_fine(self) -> bool:
        success = self.status in {200, 201} and self.kind == "application/json"
        refusal = 400 <= self.status < 500 and self.kind == "application/problem+json"
        return (success or refusal) and self.seconds < ANSWERED_WITHIN

    def __str__(self) -> str:
        return f"{self.way} {self.file}: {self.status} {self.kind} in {self.seconds:.1f} s: {self.text[:200]}"


def ask(likeness: Likeness, way: str, file: Path) -> Reply:
    data = file.read_bytes()
    sent = {
        "verify": partial(likeness.verify, data, HOPPER),
        "verify as image2": partial(likeness.verify, HOPPER, data),
        "detect": partial(likeness.detect, data),
        "enrol": partial(likeness.enroll, "hostile", "nobody", data),
    }
    began = time.monotonic()
    try:
        response = sent[way]()
    except httpx2.TransportError as error:
        return Reply(way, file.name, time.monotonic() - began, 0, "", repr(error))
    kind = response.headers.get("content-type", "").split(";")[0]
    return Reply(way, file.name, time.monotonic() - began, response.status_code, kind, response.text)


def every(folder: str, group: int) -> list[Path]:
    files = sorted(file for file in shared(folder).iterdir() if file.is_file())
    assert len(files) >= 250
    return files[group::GROUPS]


@pytest.mark.parametrize("way", ["verify", "verify as image2", "detect", "enrol"])
@pytest.mark.parametrize("group", range(GROUPS))
def test_every_odd_image_is_answered(likeness, server, way, group):
    files = every("odd_images", group)
    replies = at_once([partial(ask, likeness, way, file) for file in files], workers=2)
    assert len(replies) == len(files) > 50
    assert [str(reply) for reply in replies if not reply.is_fine()] == []
    assert server.peak() < MEMORY
    assert verification(likeness.verify(HOPPER, another(hopper())))["match"] is True


@pytest.mark.parametrize("way", ["verify", "detect", "enrol"])
@pytest.mark.parametrize("group", range(GROUPS))
def test_every_photo_without_a_face_is_answered(likeness, server, way, group):
    files = every("nonfaces", group)
    replies = at_once([partial(ask, likeness, way, file) for file in files], workers=2)
    assert len(replies) == len(files) > 30
    assert [str(reply) for reply in replies if not reply.is_fine()] == []
    assert server.peak() < MEMORY
    assert verification(likeness.verify(HOPPER, another(hopper())))["match"] is True


def test_the_odd_images_are_odd_and_some_are_images(likeness):
    """Neither everything refused nor everything accepted: the two tests above did meet both."""
    replies = [ask(likeness, "detect", file) for file in every("odd_images", 0)]
    assert {reply.status for reply in replies} >= {200, 422}


def test_few_landscapes_are_taken_for_faces(likeness):
    replies = [ask(likeness, "detect", file) for file in every("nonfaces", 0)]
    assert all(reply.status == 200 for reply in replies)
    assert sum('"faces":[]' in reply.text.replace(" ", "") for reply in replies) > len(replies) * 0.6
