"""The script that moves saved photos from a running CompreFace, for which a few pages of HTTP stand in here."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.api import Api
from tests.support.commands import new_keys, with_key
from tests.support.photos import COLLINS, COLLINS_AGAIN, HOPPER, NO_FACE
from tests.support.server import REPOSITORY, Server
from tests.support.serving import running_address

pytestmark = pytest.mark.e2e
KEY = "00000000-0000-0000-0000-000000000002"
PHOTOS = {
    "a": ("Eileen Collins", COLLINS),
    "b": ("Hopper / Grace", HOPPER),
    "c": ("Eileen Collins", COLLINS_AGAIN),
    "d": ("Hopper / Grace", b""),
    "e": ("Hopper / Grace", NO_FACE),
}
SUBJECTS = ["Eileen Collins", "Hopper / Grace", "nobody yet"]


class CompreFace(BaseHTTPRequestHandler):
    """Gives pages of two examples, whatever size is asked for."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        path, query = url.path.removeprefix("/api/v1/recognition"), parse_qs(url.query)
        if self.headers["x-api-key"] != KEY:
            self._send(404, b"")
        elif path == "/subjects":
            self._send(200, json.dumps({"subjects": SUBJECTS}).encode())
        elif path == "/faces":
            faces = [{"image_id": image_id, "subject": subject} for image_id, (subject, _) in PHOTOS.items()]
            start = 2 * int(query["page"][0])
            self._send(200, json.dumps({"faces": faces[start : start + 2], "total_pages": 3}).encode())
        else:
            self._send(200, PHOTOS[path.split("/")[2]][1])

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def compreface() -> Iterator[str]:
    with running_address(ThreadingHTTPServer(("127.0.0.1", 0), CompreFace)) as url:
        yield url


def moved(source: str, server: Server, key: str) -> subprocess.CompletedProcess[str]:
    script = REPOSITORY / "docs" / "examples" / "move_from_compreface.py"
    places = ["--from", source, "--from-key", KEY, "--to", server.url, "--to-key", key, "--gallery", "moved"]
    return subprocess.run(
        [sys.executable, script, *places], cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False
    )


def test_saved_photos_are_enrolled_once_and_the_others_named(guarded: Server, admin: Api) -> None:
    (key,) = new_keys(guarded.data_dir, ["--scopes", "enroll"])
    with compreface() as source:
        first, again = (moved(source, guarded, key) for _ in range(2))

    for done in (first, again):
        assert done.stdout == "3 photos enrolled, 2 left out\n"
        assert done.returncode == 1
        saved, no_face = done.stderr.splitlines()
        assert saved == "Hopper / Grace, d: CompreFace has not saved this photo"
        assert "Hopper / Grace, e: " in no_face
        assert "face_not_found" in no_face
    subjects = admin.http.get("/galleries/moved/subjects").json()["subjects"]
    assert [(each["subject_id"], each["faces"]) for each in subjects] == list(zip(SUBJECTS, (2, 1, 0), strict=True))
    with with_key(guarded, key) as client:
        assert client.http.get("/galleries/moved").json()["faces"] == 3
