"""Commands are imported only when they run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import COMMANDS, app, imported
from tests.unit.cli.conftest import Command

REPOSITORY = Path(__file__).resolve().parents[3]
HELP = """
import sys
from app.cli import app
app(["--help"], standalone_mode=False)
print(sorted(sys.modules.keys() & {"numpy", "cv2", "onnxruntime", "faiss", "fastapi", "pydantic"}))
import app.cli.keys
print(sorted(sys.modules.keys() & {"fastapi"}))
"""


@pytest.mark.parametrize("name", COMMANDS)
def test_listed_help_is_the_help_of_the_command(likeness: Command, name: str) -> None:
    done = likeness(name, "--help")
    assert imported(name).help.startswith(COMMANDS[name][1].removesuffix("."))
    assert (done.exit_code, "usage" in done.stdout.lower(), done.stderr) == (0, True, "")


@pytest.mark.slow
def test_help_imports_neither_networks_nor_server_and_a_command_of_the_gallery_no_server() -> None:
    done = subprocess.run([sys.executable, "-c", HELP], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in COMMANDS)
    assert done.stdout.splitlines()[-2:] == ["[]", "[]"]


def test_unknown_command_is_an_error_with_a_suggestion(likeness: Command) -> None:
    done = likeness("verfy")
    assert done.exit_code == 2
    assert "verify" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "detail"),
    [
        (["verfy"], "No such command 'verfy'"),
        (["verify", "nowhere.jpg", "nowhere.jpg"], "file 'nowhere.jpg' does not exist"),
        (["verify", __file__, __file__, "--fmr", "0.1", "--threshold", "1"], "expected --fmr or --threshold, got both"),
        (["gallery", "recall"], "Missing argument 'gallery'"),
    ],
)
def test_wrong_arguments_are_told_as_json_to_who_asked_for_json(
    likeness: Command, arguments: list[str], detail: str
) -> None:
    done = likeness(*arguments, "--json")
    assert done.exit_code == 2
    assert json.loads(done.stdout)["code"] == "command_error"
    assert detail in json.loads(done.stdout)["detail"]


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("likeness ver", "verify"),
        ("likeness models pu", "pull"),
        ("likeness verify --fm", "--fmr"),
        ("likeness models use sface", "sface-128"),
    ],
)
def test_shells_complete_commands_options_and_models(likeness: Command, line: str, completed: str) -> None:
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    done = CliRunner().invoke(
        app, [], prog_name="likeness", env={"_LIKENESS_COMPLETE": "complete_bash", **likeness.environment, **words}
    )
    assert done.stdout.split() == [completed]
