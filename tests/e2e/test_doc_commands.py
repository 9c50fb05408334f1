"""
The calls of `likeness` and the requests with curl on the pages of the documents, run as they are printed there.

test_page_commands.py runs those of further pages and compares what they print.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pytest

from app.images.decode import ImageLimits, decode
from tests.e2e.test_page_commands import PAGES as RUN_ELSEWHERE
from tests.e2e.test_page_commands import SERVICE
from tests.support.clips import write_clip
from tests.support.commands import encryption_key, new_keys
from tests.support.doc_commands import PAGES, REPOSITORY, lines_of, name_of
from tests.support.photos import COLLINS, HOPPER, HOPPER_AGAIN
from tests.support.server import Server, environment

CALL = re.compile(r"^(?:\.venv/bin/)?likeness (.*?)(?:\s+#.*)?$")
SKIPPED = {
    "serve": "does not end; tests/e2e/test_start.py",
    "models pull": "needs a network; tests/unit/cli/test_models.py",
    "migrate": "needs PostgreSQL; tests/unit/gallery/test_replicas.py",
    "watch 0": "needs a camera",
    "--url": "of a service elsewhere; tests/e2e/test_quickstart.py, tests/e2e/test_cli.py",
}
"""The beginnings of calls that cannot be made here, and why."""
KEY_ID = "3f9a0c51d2e4"
NAMES = {"NAME": "guests", "S": "hopper", "sface-2021dec": "mobilefacenet-128"}
"""Words that stand for the reader's own."""
MAKE_CALLS = """
import contextlib, io, json, os, runpy, sys
for data_dir, output, arguments in json.loads(sys.argv[1]):
    os.environ["LIKENESS_DATA_DIR"], sys.argv = data_dir, ["likeness", *arguments]
    said, code = io.StringIO(), 0
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            runpy.run_module("app", run_name="__main__")
        except SystemExit as error:
            code = error.code or 0
    if output:
        with open(output, "w") as file:
            file.write(said.getvalue())
    print(json.dumps([code, said.getvalue()]))
"""


class Call(NamedTuple):
    data_dir: str
    output: str
    arguments: Sequence[str]


def pages() -> list[Path]:
    return [page for page in sorted(PAGES) if name_of(page).removeprefix("docs/") not in RUN_ELSEWHERE]


def calls_of(page: Path, key_id: str) -> Iterator[Call]:
    """Yield the calls of `likeness` on a page. What is restored is restored into an empty folder."""
    for number, line in enumerate(lines_of(page)):
        found = CALL.match(line)
        if found and not found[1].startswith(tuple(SKIPPED)):
            words, _, output = found[1].partition(" > ")
            names = {**NAMES, KEY_ID: key_id, "FILE": f"{page.stem}.file"}
            arguments = [names.get(word, word) for word in shlex.split(words)]
            yield Call(f"restored-{number}" if arguments[0] == "restore" else "data", output, arguments)


def made(folder: Path, calls: Sequence[Call]) -> list[tuple[int, str]]:
    """Return the exit status of each call and what it printed. One process makes them all, in their order."""
    settings = {"PYTHONPATH": str(REPOSITORY), "COLUMNS": "200", "LIKENESS_ENCRYPTION_KEY_FILE": "encryption.key"}
    done = subprocess.run(
        [sys.executable, "-c", MAKE_CALLS, json.dumps(calls)],
        cwd=folder,
        env=environment(folder / "data", **settings),
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [(code, said) for code, said in map(json.loads, done.stdout.splitlines())]


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder with what a reader of the pages has: photos, a folder of people, a video, an exported gallery."""
    (tmp_path / "docs").symlink_to(REPOSITORY / "docs")
    (tmp_path / "encryption.key").write_text(encryption_key())
    (tmp_path / "guests.jsonl").write_text('{"format": "likeness-gallery-1", "model": null}\n')
    photos = {"PHOTOS/hopper/1.jpg": HOPPER, "PHOTOS/collins/1.jpg": COLLINS, "photo.jpg": HOPPER_AGAIN}
    for name, photo in photos.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(photo)
    clip = write_clip(tmp_path / "clip.avi", [[(decode(HOPPER, ImageLimits()), 4 * number)] for number in range(4)])
    clip.rename(tmp_path / "entrance.mp4")
    return tmp_path


def test_the_calls_of_likeness_on_all_pages_do_what_they_say(workplace: Path) -> None:
    key = Call("data", "", ["keys", "create", "--scopes", "admin", "--json"])
    enroll = Call("data", "", ["enroll", "PHOTOS", "--gallery", "guests"])
    (_, printed), _ = made(workplace, [key, enroll])
    calls = [*chain.from_iterable(calls_of(page, json.loads(printed)["id"]) for page in pages())]
    results = made(workplace, calls)

    assert len(calls) >= 25
    assert [
        (call.arguments, code, said)
        for call, (code, said) in zip(calls, results, strict=True)
        if code != (call.arguments[0] == "verify") or "error:" in said  # the photos to verify are of two people
    ] == []


def test_the_requests_on_all_pages_are_answered(workplace: Path) -> None:
    if not shutil.which("curl"):
        pytest.skip("expected curl, got none")
    (key,) = new_keys(workplace / "data", ["--scopes", "admin"])
    (workplace / ".curlrc").write_text(f'header = "Authorization: Bearer {key}"\nsilent\nfail-with-body\n')
    requests = [line for page in pages() for line in lines_of(page) if re.match(r"curl (?!.*\.\.\.)", line)]
    with Server(workplace / "data", LIKENESS_LIVENESS="on", LIKENESS_COMPREFACE="on") as server:
        for line in requests:
            done = subprocess.run(
                ["sh", "-c", line.replace(SERVICE, server.url).replace("KEY", key)],
                cwd=workplace,
                env=environment(workplace / "data", HOME=str(workplace)),
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, (line, done)
            assert all(json.loads(answer) for answer in done.stdout.splitlines()), line
    assert len(requests) >= 8
