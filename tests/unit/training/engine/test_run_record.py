import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.training.support import changed
from training.config.schema import TrainConfig
from training.engine import run_record, trainer
from training.engine.train_step import Diverged, Learner


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git checkout with a change that is not committed, which takes the place of this one."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "code.py").write_text("old = 1\n")
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "first"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    (folder / "code.py").write_text("new = 2\n")
    monkeypatch.setattr(run_record, "__file__", str(folder / "code.py"))
    return folder


@pytest.mark.usefixtures("checkout")
def test_a_run_records_its_command_line_and_what_differs_from_the_commit(config: TrainConfig, tmp_path: Path) -> None:
    trainer.train(config, tmp_path / "run", resume=False)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["commit"].endswith("-dirty")
    assert "-old = 1" in record["diff"]
    assert "+new = 2" in record["diff"]
    assert Path(sys.orig_argv[-1]).name in record["command"]


@pytest.mark.usefixtures("checkout")
def test_the_source_is_recorded_when_a_run_starts(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise Diverged("the loss is nan")

    monkeypatch.setattr(Learner, "train_step", fail)
    with pytest.raises(Diverged):
        trainer.train(changed(config, "run", seed=7), tmp_path / "run", resume=False)
    assert "+new = 2" in json.loads((tmp_path / "run" / "source.json").read_text())["diff"]


def test_without_git_there_is_no_commit_and_no_diff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_record, "__file__", str(tmp_path / "code.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    run_record.write_source(tmp_path)
    source = json.loads((tmp_path / "source.json").read_text())
    assert (source["commit"], source["diff"]) == (None, None)


def test_a_long_diff_is_cut(checkout: Path, tmp_path: Path) -> None:
    (checkout / "code.py").write_text("x = 1\n" * 200_000)
    run_record.write_source(tmp_path)
    diff = json.loads((tmp_path / "source.json").read_text())["diff"]
    assert run_record.MOST_DIFF < len(diff) < run_record.MOST_DIFF + 100
    assert "(cut: " in diff
