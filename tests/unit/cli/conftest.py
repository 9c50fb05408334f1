import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from app.cli import app
from app.domain.arrays import Pixels


class Command:
    """Runs the `likeness` command with a data directory, a folder for photos, and settings from the environment."""

    def __init__(self, folder: Path, models_dir: Path) -> None:
        self.folder, self.data, self.models_dir = folder, folder / "data", models_dir
        self.environment = {"LIKENESS_DATA_DIR": str(self.data), "LIKENESS_MODELS_DIR": str(models_dir)}

    def __call__(self, *arguments: object, input: str | bytes | None = None, **settings: object) -> Result:  # noqa: A002
        named = {f"LIKENESS_{name.upper()}": str(value) for name, value in settings.items()}
        return CliRunner().invoke(app, [str(each) for each in arguments], env=self.environment | named, input=input)

    def photo(self, name: str, pixels: Pixels, quality: int = 92) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=quality)
        return path


@pytest.fixture
def likeness(tmp_path: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    for name in [name for name in os.environ if name.startswith("LIKENESS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return Command(tmp_path, models_dir)


class Served:
    """A server that only records what it was asked to serve, and where."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, dict[str, Any]]] = []

    def __call__(self, app: Any, **options: Any) -> None:
        self.asked.append((app, options))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Served:
    """Replace the server, and leave the tests' own logging as it is."""
    fake = Served()
    monkeypatch.setattr("app.server.server.serve", fake)
    monkeypatch.setattr("app.server.supervisor.serve", fake)
    monkeypatch.setattr("app.observability.logging.configure_logging", lambda *_, **__: None)
    return fake
