"""The commands of docs/operations/gdpr.md, run in their order, print what is below them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import REPOSITORY, Server, environment

PAGE = (REPOSITORY / "docs" / "operations" / "gdpr.md").read_text()
EXAMPLES = re.findall(r"^```\n((?:curl|likeness) .*?)\n```\n```\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
CHANGING = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{64}")


def lasting(output: str) -> str:
    """Return the output without times, hashes and random ids."""
    return CHANGING.sub("*", output).strip()


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with the command `likeness`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "likeness"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m app "$@"\n')
    command.chmod(0o755)
    return folder


def test_the_commands_of_the_gdpr_page_print_what_it_shows(tmp_path: Path, programs: Path) -> None:
    if not shutil.which("curl"):
        pytest.skip("expected curl, got none")
    with Server(tmp_path / "data") as server:
        path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        variables = environment(server.data_dir, PATH=path, COLUMNS="200", NO_COLOR="1")
        printed = [
            subprocess.run(
                ["sh", "-c", command.replace("http://127.0.0.1:8000", server.url)],
                cwd=REPOSITORY, env=variables, capture_output=True, text=True, timeout=100, check=True,
            ).stdout
            for command, _ in EXAMPLES
        ]  # fmt: skip

    assert len(EXAMPLES) == 7
    assert [lasting(output) for output in printed] == [lasting(output) for _, output in EXAMPLES]
