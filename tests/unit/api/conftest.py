import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from app.domain.arrays import Pixels
from app.main import create_app
from app.settings import Settings


@pytest.fixture(scope="session", autouse=True)
def no_settings_of_this_machine() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("LIKENESS_")]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> FastAPI:
    """The whole service with the real models and small limits."""
    return create_app(
        Settings(
            data_dir=tmp_path_factory.mktemp("data"),
            models_dir=models_dir,
            max_image_bytes=2_000_000,
            max_body_bytes=5_000_000,
            _env_file=None,
        )
    )


@pytest.fixture(scope="session")
def client(app: FastAPI) -> Iterator[TestClient]:
    """A client of the started service; unexpected errors are answered, as by a server."""
    with TestClient(app, raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture(scope="session")
def portrait(tmp_path_factory: pytest.TempPathFactory, hopper: Pixels) -> bytes:
    """Grace Hopper, half size, as PNG."""
    path = tmp_path_factory.mktemp("photos") / "hopper.png"
    Image.fromarray(hopper).reduce(2).save(path)
    return path.read_bytes()


@pytest.fixture
def gallery(client: TestClient) -> Iterator[str]:
    """The id of a new gallery."""
    name = f"gallery {uuid.uuid4()}"
    assert client.put(f"/galleries/{name}").status_code == 201
    yield name
    assert client.delete(f"/galleries/{name}").status_code == 204
