"""A large gallery is imported at 2,000 faces a second of processor time and more."""

import base64
import json
import time
from contextlib import closing
from pathlib import Path

from starlette.testclient import TestClient

from app.gallery.export_lines import FORMAT
from app.gallery.import_export import import_gallery
from app.main import create_app
from app.settings import Settings
from tests.support.lengths import length, report
from tests.support.repository import FileRepository
from tests.support.templates import MODEL, unit

FACES_A_SECOND = 2000


def line(number: int) -> str:
    face = {
        "face_id": f"face {number}",
        "vector": base64.b64encode(unit(number, 128).tobytes()).decode(),
        "box": [10.0, 20.0, 110.5, 140.0],
        "landmarks": [[1.5 * point, 2.5 * point] for point in range(5)],
        "confidence": 0.99,
        "quality": [1.0, 0.75, 0.5, 0.25],
        "enrolled_at": "2026-01-02T03:04:05.678Z",
    }
    return json.dumps({"subject_id": f"subject {number}", "metadata": {"number": number}, "faces": [face]})


def test_an_import_over_http_reaches_its_rate(tmp_path: Path, models_dir: Path) -> None:
    faces = length(5_000, 50_000)
    settings = Settings(data_dir=tmp_path, models_dir=models_dir, _env_file=None)
    with TestClient(create_app(settings)) as client:
        model = client.get("/models").json()["models"][0]["digest"]
        header = json.dumps({"format": FORMAT, "gallery": "guests", "model": model})
        body = "\n".join([header, *map(line, range(faces))]).encode()
        started = time.process_time()
        answer = client.post("/galleries/guests/import", content=body)
        rate = faces / (time.process_time() - started)
        report(f"{rate:.0f} faces a second of processor time over HTTP, in one process with the client")

        assert answer.text.count('"created"') == faces
    assert rate > FACES_A_SECOND


def test_an_import_reaches_its_rate(tmp_path: Path) -> None:
    faces = length(5_000, 50_000)
    file = tmp_path / "guests.jsonl"
    header = json.dumps({"format": FORMAT, "gallery": "guests", "model": MODEL})
    file.write_text("\n".join([header, *map(line, range(faces))]) + "\n")
    with closing(FileRepository(tmp_path / "gallery.sqlite3")) as repository:
        started = time.process_time()
        assert import_gallery(repository, "guests", file) == faces
        rate = faces / (time.process_time() - started)
        report(f"{rate:.0f} faces a second of processor time")

        assert repository.gallery("guests").faces == faces
    assert rate > FACES_A_SECOND
