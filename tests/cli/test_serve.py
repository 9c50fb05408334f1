"""`likeness serve` before the server: what is wrong is told in a sentence."""

from typing import Any

import pytest
from fastapi import FastAPI

from tests.cli.conftest import Command


class FakeServer:
    """Remembers what it was asked to serve, and where."""

    def __init__(self) -> None:
        self.asked: list[tuple[FastAPI, dict[str, Any]]] = []

    def run(self, app: FastAPI, **options: Any) -> None:
        self.asked.append((app, options))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    fake = FakeServer()
    monkeypatch.setattr("uvicorn.run", fake.run)
    return fake


def test_it_serves_where_the_settings_say(likeness: Command, server: FakeServer) -> None:
    done = likeness("serve", host="0.0.0.0", port=8123)  # noqa: S104
    ((app, options),) = server.asked

    assert done.exit_code == 0
    assert app.title == "Likeness"
    assert (options["host"], options["port"]) == ("0.0.0.0", 8123)  # noqa: S104


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model": "none"}, "no model in "),
        ({"models_dir": "nowhere"}, "no model in nowhere"),
        ({"data_dir": "file/data"}, "cannot open the gallery file/data"),
        ({"provider": "tensorrt"}, "provider 'tensorrt' was asked for"),
    ],
)
def test_what_stops_the_start_is_told_in_a_sentence_and_nothing_is_served(
    likeness: Command, server: FakeServer, settings: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    (likeness.folder / "file").touch()
    done = likeness("serve", **settings)

    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {words}")
    assert server.asked == []
