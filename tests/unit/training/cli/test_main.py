import runpy
import sys
from pathlib import Path

import pytest


def test_an_error_is_one_line_with_exit_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "cohorts", "--model", "any", "--json", str(tmp_path / "report.json")]
    monkeypatch.setattr(sys, "argv", ["training", *command])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module("training", run_name="__main__")
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "error: expected either --images or --csv\n"
