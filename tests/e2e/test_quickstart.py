"""The commands of docs/quickstart.md, run in their order, give the answers that are printed below them."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2

from tests.support import commands
from tests.support.answers import nearly
from tests.support.server import Server
from tests.unit.deployment.manifests import REPOSITORY

PAGE = (REPOSITORY / "docs" / "quickstart.md").read_text()
EXAMPLES = re.findall(r"```\n(curl .*?)\n```\n```json\n(.*?)```", PAGE, re.DOTALL)
CHANGING = {"request_id", "face_id", "enrolled_at", "timings_ms"}


def run(curl: str, server: Server) -> Any:
    """The answer to `curl -F name=@file ... URL`, from this server."""
    *fields, url = shlex.split(curl.removeprefix("curl "))
    files = [field.split("=@") for field in fields if field != "-F"]
    photos = {name: (path, (REPOSITORY / path).read_bytes()) for name, path in files}
    return httpx2.post(url.replace("http://127.0.0.1:8000", server.url), files=photos, timeout=60).json()


def lasting(answer: Any) -> Any:
    """The answer without what differs in each run."""
    if isinstance(answer, dict):
        return {name: lasting(value) for name, value in answer.items() if name not in CHANGING}
    return [lasting(value) for value in answer] if isinstance(answer, list) else answer


def test_the_answers_of_the_quickstart_are_those_of_the_service(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        answers = [lasting(run(curl, server)) for curl, _ in EXAMPLES]

    assert len(EXAMPLES) == 4
    assert answers == [nearly(lasting(json.loads(printed))) for _, printed in EXAMPLES]


def test_the_python_example_and_the_remote_command_run(tmp_path: Path) -> None:
    program, importing = re.findall(r"```python\n(from app.client .*?)```", PAGE, re.DOTALL)
    (command,) = re.findall(r"^\.venv/bin/likeness (--url .*)$", PAGE, re.MULTILINE)
    with Server(tmp_path / "data") as server:
        local = {"http://127.0.0.1:8000": server.url, "docs/images": str(REPOSITORY / "docs" / "images")}
        for written, used in local.items():
            program, importing, command = (text.replace(written, used) for text in (program, importing, command))
        (tmp_path / "guests.jsonl").write_text('{"format": "likeness-gallery-1", "model": null}\n')
        done = subprocess.run(
            [sys.executable, "-c", f"{program}\n{importing}"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.stdout.splitlines()[1:], done.stderr) == (["1 None header"], "")
        assert done.stdout.startswith("True")
        verified = commands.run(tmp_path / "unused", *shlex.split(command))
        assert (verified.returncode, verified.stdout.split(":")[0]) == (1, "no match")
