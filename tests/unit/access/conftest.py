from collections.abc import Iterator
from pathlib import Path

import pytest

from app.access.api_keys import KeyStore
from tests.support.repository import open_database


@pytest.fixture
def others(address: Path | str) -> Iterator[KeyStore]:
    """The keys as another process sees them: the command beside a service that runs."""
    opened = open_database(address)
    yield KeyStore(opened)
    opened.close()
