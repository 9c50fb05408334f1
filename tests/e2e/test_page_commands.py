"""The commands of pages, run in their order in one shell a page, print what is below them."""

import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.server import REPOSITORY, Server, environment

PAGES = {
    "operations/gdpr.md": 7,
    "how-to/operating-point.md": 3,
    "how-to/rotate-keys.md": 4,
    "how-to/selfies-against-passports.md": 1,
}
"""The pages, with the number of their examples."""
EXAMPLE = re.compile(r"^```\n([^`]*?)\n```\n```\n(.*?)```", re.DOTALL | re.MULTILINE)
CHANGING = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{64}")
SERVICE = "http://127.0.0.1:8000"
END = "--- end of the example ---"


def lasting(output: str) -> str:
    """Return the output without times, hashes and random ids."""
    return CHANGING.sub("*", output).strip()


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with the command `likeness`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "likeness"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={REPOSITORY} exec {sys.executable} -m app "$@"\n')
    command.chmod(0o755)
    return folder


@pytest.mark.parametrize(("page", "count"), PAGES.items(), ids=lambda each: str(each))
def test_the_commands_of_a_page_print_what_it_shows(tmp_path: Path, programs: Path, page: str, count: int) -> None:
    if missing := [program for program in ("curl", "openssl") if not shutil.which(program)]:
        pytest.skip(f"expected {' and '.join(missing)}, got none")
    examples = EXAMPLE.findall((REPOSITORY / "docs" / page).read_text())
    script = "".join(f"{commands}\necho '{END}'\n" for commands, _ in examples)
    (tmp_path / "docs").symlink_to(REPOSITORY / "docs")
    with ExitStack() as running:
        if SERVICE in script:
            server = running.enter_context(Server(tmp_path / "data"))
            script = script.replace(SERVICE, server.url)
        path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-e", "-c", script],
            cwd=tmp_path,
            env=environment(tmp_path / "data", PATH=path, COLUMNS="200", NO_COLOR="1"),
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    assert done.returncode == 0, done.stderr
    assert len(examples) == count
    assert [lasting(output) for output in done.stdout.split(f"{END}\n")[:-1]] == [lasting(each) for _, each in examples]
