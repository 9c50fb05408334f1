"""Pending erasures are tried again for as long as the service runs, whatever happens in one round."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

import pytest

from app.services import erasure_task
from app.services.erasure_task import ErasureRetry
from app.services.galleries import Galleries

pytestmark = pytest.mark.anyio


@dataclass
class FakeGalleries:
    rounds: int = 0
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    async def settle_erasures(self) -> int:
        self.rounds += 1
        if self.rounds == 1:
            raise OSError("broken")
        if self.rounds == 3:
            self.enough.set()
        return 0


async def test_a_failed_round_is_logged_and_the_next_one_follows(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(erasure_task, "INTERVAL", 0)
    galleries = FakeGalleries()
    task = asyncio.create_task(ErasureRetry(cast("Galleries", galleries)).run())
    await galleries.enough.wait()
    task.cancel()

    assert caplog.messages == ["pending erasures could not be finished"]
