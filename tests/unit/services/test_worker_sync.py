"""A worker publishes its gauges and follows the changes of the others, whatever fails meanwhile."""

import asyncio
import logging
from dataclasses import dataclass, field

import pytest

from app.domain.errors import Overloaded
from app.services.worker_sync import WorkerSync

pytestmark = pytest.mark.anyio


@dataclass
class Following:
    """Galleries that only count; the first time they are too busy."""

    events: list[str] = field(default_factory=list)

    async def update_indexes(self) -> None:
        self.events.append("follow")
        if self.events.count("follow") == 1:
            raise Overloaded("busy")


async def test_it_goes_on_after_a_failure_which_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    galleries = Following()
    monkeypatch.setattr("app.services.worker_sync.INTERVAL", 0.001)
    monkeypatch.setattr(logging.getLogger("app"), "propagate", True)
    running = asyncio.create_task(WorkerSync(galleries, lambda: galleries.events.append("publish")).run())  # type: ignore[arg-type]
    async with asyncio.timeout(5):
        while len(galleries.events) < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    running.cancel()

    assert galleries.events[:4] == ["publish", "follow", "publish", "follow"]
    assert "cannot synchronize with the other workers" in caplog.text
