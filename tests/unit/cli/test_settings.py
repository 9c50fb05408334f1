"""Every command names invalid settings with their values."""

import json

import pytest

from tests.unit.cli.conftest import Command


@pytest.mark.parametrize("command", [["doctor"], ["gallery", "list"], ["serve"]])
def test_every_invalid_setting_is_named_with_its_value(likeness: Command, command: list[str]) -> None:
    done = likeness(*command, port="many", default_fmr=2)
    assert done.exit_code == 2
    assert "LIKENESS_PORT: " in done.stderr
    assert "got 'many'" in done.stderr
    assert "LIKENESS_DEFAULT_FMR: expected less than 1, got 2" in done.stderr.replace("'", "")
    assert done.stdout == ""


def test_invalid_setting_is_reported_as_json(likeness: Command) -> None:
    done = likeness("gallery", "list", "--json", provider="gpu")
    assert done.exit_code == 2
    assert "LIKENESS_PROVIDER" in json.loads(done.stdout)["detail"]


def test_settings_are_read_from_a_file(likeness: Command) -> None:
    (likeness.folder / ".env").write_text("LIKENESS_MIN_FACE=3\nOTHER=1\n")
    done = likeness("gallery", "list")
    assert done.exit_code == 2
    assert "LIKENESS_MIN_FACE" in done.stderr
    assert "got '3'" in done.stderr
