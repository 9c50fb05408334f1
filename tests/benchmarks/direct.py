"""`/verify` without HTTP: the service called in this process, on an event loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path

import uvloop

from app.services.container import Services
from app.services.extraction import Upload
from app.services.timing import StageTimer
from app.settings import Settings
from tests.benchmarks.detect import MODELS


def settings(folder: Path) -> Settings:
    return Settings(models_dir=MODELS, data_dir=folder / "direct", provider="cpu", _env_file=None)


@contextmanager
def verification(
    services: AbstractAsyncContextManager[Services], photos: tuple[bytes, bytes], times: int = 1
) -> Iterator[Callable[[], None]]:
    """A call that compares the photos so many times, one after the other: starting a loop costs something too."""
    uploads = [Upload(f"image{number}", data) for number, data in enumerate(photos, start=1)]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        pair = runner.run(services.__aenter__()).verification.pair

        async def compare() -> None:  # a Runner writes out what its task returned, to look at a signal's handler
            for _ in range(times):
                await pair(uploads, "largest", fmr=None, threshold=None, timer=StageTimer())

        try:
            yield lambda: runner.run(compare())
        finally:
            runner.run(services.__aexit__(None, None, None))
