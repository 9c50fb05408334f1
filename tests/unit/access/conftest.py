from collections.abc import Iterator
from pathlib import Path

import pytest

from app.access.api_keys import KeyStore
from app.storage.migrate import open_migrated


@pytest.fixture
def others(path: Path) -> Iterator[KeyStore]:
    """The keys as another process sees them: the command beside a service that runs."""
    opened = open_migrated(path)
    yield KeyStore(opened)
    opened.close()
