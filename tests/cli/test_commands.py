"""The commands are listed without being imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import COMMANDS, imported
from tests.cli.conftest import Command

REPOSITORY = Path(__file__).resolve().parents[2]
HELP = """
import sys
from app.cli import app
app(["--help"], standalone_mode=False)
print(sorted(sys.modules.keys() & {"numpy", "cv2", "onnxruntime", "faiss", "fastapi", "pydantic"}))
"""


@pytest.mark.parametrize("name", COMMANDS)
def test_the_words_of_the_list_are_those_of_the_commands_own_help(name: str) -> None:
    assert imported(name).help.startswith(COMMANDS[name][1].removesuffix("."))


def test_asking_for_help_imports_no_network_and_no_server() -> None:
    done = subprocess.run([sys.executable, "-c", HELP], cwd=REPOSITORY, capture_output=True, text=True, check=True)

    assert all(name in done.stdout for name in COMMANDS)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_command_that_is_none_is_told_with_the_one_that_was_probably_meant(likeness: Command) -> None:
    done = likeness("verfy")

    assert done.exit_code == 2
    assert "verify" in done.stderr
