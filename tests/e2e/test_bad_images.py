"""Every hostile file of shared/data is answered with an answer or a problem, in bounded time and memory."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx2
import pytest

from tests.support.answers import verification
from tests.support.api import Api, at_once
from tests.support.clock import unhurried
from tests.support.photos import HOPPER_AGAIN, hopper, jpeg, scaled, shared
from tests.support.server import MIB, Server

HOPPER = jpeg(scaled(hopper(), 0.4))
GROUPS = 8
WAYS = ("verify", "verify as image2", "enrol")
ANSWERED_WITHIN = 5.0
MEMORY = 1536 * MIB


@dataclass(frozen=True)
class Reply:
    """The answer to one file sent to one route."""

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


def ask(api: Api, way: str, file: Path) -> Reply:
    data = file.read_bytes()
    sent = {
        "verify": partial(api.verify, data, HOPPER),
        "verify as image2": partial(api.verify, HOPPER, data),
        "detect": partial(api.detect, data),
        "enrol": partial(api.enroll, "hostile", "nobody", data),
    }
    began = unhurried()
    try:
        response = sent[way]()
    except httpx2.TransportError as error:
        return Reply(way, file.name, unhurried() - began, 0, "", repr(error))
    kind = response.headers.get("content-type", "").split(";")[0]
    return Reply(way, file.name, unhurried() - began, response.status_code, kind, response.text)


def every(folder: str, group: int) -> list[Path]:
    files = sorted(file for file in shared(folder).iterdir() if file.is_file())
    assert len(files) >= 250
    return files[group::GROUPS]


@pytest.mark.parametrize("folder", ["odd_images", "nonfaces"])
@pytest.mark.parametrize("group", range(GROUPS))
def test_every_file_is_answered(api: Api, server: Server, folder: str, group: int) -> None:
    """Send each file to /detect, which does what all routes do with a photo, and in one of three other ways."""
    files = every(folder, group)
    ways = [(WAYS[place % len(WAYS)], file) for place, file in enumerate(files)]
    if folder == "odd_images":  # the test of the landscapes sends them all to /detect
        ways += [("detect", file) for file in files]
    replies = at_once([partial(ask, api, way, file) for way, file in ways], workers=2)
    assert len(replies) == len(ways) > 30
    assert [str(reply) for reply in replies if not reply.is_fine()] == []
    assert server.peak() < MEMORY
    assert verification(api.verify(HOPPER, HOPPER_AGAIN))["match"] is True


def test_the_odd_images_are_odd_and_some_are_images(api: Api) -> None:
    """Show that the test above met both kinds of answer."""
    assert {ask(api, "detect", file).status for file in every("odd_images", 0)} >= {200, 422}


def test_at_most_two_landscapes_are_taken_for_faces(api: Api) -> None:
    replies = [ask(api, "detect", file) for group in range(GROUPS) for file in every("nonfaces", group)]
    assert all(reply.status == 200 and reply.is_fine() for reply in replies)
    assert sum('"faces":[]' in reply.text.replace(" ", "") for reply in replies) >= len(replies) - 2
