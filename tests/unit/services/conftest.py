from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.fakes import CROWDED, FakeEmbedder
from tests.unit.services.bench import Bench, open_bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_bench(tmp_path) as opened:
        yield opened


@pytest.fixture
async def offset_bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """The services with a model that has threshold offsets."""
    async with open_bench(tmp_path, embedder=FakeEmbedder(offsets=CROWDED), offsets=CROWDED) as opened:
        yield opened
