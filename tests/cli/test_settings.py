"""A wrong setting is named, with its value, whatever the command."""

import json

import pytest

from tests.cli.conftest import Command


@pytest.mark.parametrize("command", [["doctor"], ["gallery", "list"], ["serve"]])
def test_every_wrong_setting_is_named_with_its_value(likeness: Command, command: list[str]) -> None:
    done = likeness(*command, port="many", default_fmr=2)

    assert done.exit_code == 2
    assert "LIKENESS_PORT: " in done.stderr
    assert "got 'many'" in done.stderr
    assert "LIKENESS_DEFAULT_FMR: " in done.stderr
    assert done.stdout == ""


def test_machines_are_told_in_json(likeness: Command) -> None:
    done = likeness("gallery", "list", "--json", provider="gpu")

    assert done.exit_code == 2
    assert "LIKENESS_PROVIDER" in json.loads(done.stdout)["detail"]


def test_settings_may_stand_in_a_file(likeness: Command) -> None:
    (likeness.folder / ".env").write_text("LIKENESS_MIN_FACE=3\nOTHER=1\n")
    done = likeness("gallery", "list")

    assert done.exit_code == 2
    assert "LIKENESS_MIN_FACE" in done.stderr
    assert "got '3'" in done.stderr
