"""`run.log_to`: the same scalars in TensorBoard, MLflow and Weights & Biases, each by its real library."""

import importlib.util
import sqlite3
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.unit.training.support import changed
from training.config.schema import TrainConfig
from training.engine import trainer
from training.engine.scalar_writers import WriterMissing
from training.engine.train_step import Diverged

LIBRARIES = {name: importlib.util.find_spec(name) is not None for name in ("mlflow", "wandb")}


def needs(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not LIBRARIES[name], reason=f"the extra `{name}` is missing")


def logging_to(config: TrainConfig, *names: str) -> TrainConfig:
    return changed(config, "run", log_to=names)


def mlflow_rows(output: Path, query: str) -> list[tuple[object, ...]]:
    database = sqlite3.connect(output / "mlflow.db")
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


@pytest.mark.slow  # it makes MLflow's tables
@needs("mlflow")
@pytest.mark.filterwarnings("ignore")  # MLflow's own, of its database
def test_mlflow_has_the_scalars_of_tensorboard_and_the_options(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    config, output = logging_to(config, "tensorboard", "mlflow"), tmp_path / "run"
    trainer.train(config, output, resume=False)
    trainer.train(changed(config, "optimizer", steps=8), output, resume=True)

    board = EventAccumulator(str(output / "tensorboard"))
    board.Reload()
    losses = mlflow_rows(output, "select step, value from metrics where key = 'loss' order by step")
    assert losses == [(event.step, pytest.approx(event.value)) for event in board.Scalars("loss")]
    assert [step for step, _ in losses] == list(range(8))
    assert mlflow_rows(output, "select value from params where key = 'loss.miner'") == [("batch-hard",)]
    assert mlflow_rows(output, "select status, name from runs") == [("FINISHED", "run")]


@pytest.mark.slow  # it makes MLflow's tables
@needs("mlflow")
@pytest.mark.filterwarnings("ignore")
def test_mlflow_shows_a_run_that_failed(config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    config = changed(changed(config, "optimizer", lr=1e30, clip_norm=1e30), "network", batch_norm="updated")
    with pytest.raises(Diverged):
        trainer.train(logging_to(config, "mlflow"), tmp_path / "run", resume=False)
    assert mlflow_rows(tmp_path / "run", "select status from runs") == [("FAILED",)]


@needs("wandb")
@pytest.mark.filterwarnings("ignore")
def test_wandb_is_offline_and_has_every_scalar(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("WANDB_MODE", "WANDB_PROJECT"):
        monkeypatch.delenv(variable, raising=False)
    import wandb

    try:
        trainer.train(logging_to(config, "wandb"), tmp_path / "run", resume=False)
    finally:
        wandb.teardown()  # ends its process
    (record,) = (tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb")
    content = record.read_bytes()
    assert list((record.parent / "files").iterdir()) == []  # neither a list of packages nor of hardware
    assert content.count(b"genuine_distance") >= config.optimizer.steps
    assert b"loss.miner" in content
    assert (tmp_path / "run" / "wandb.run").read_text() == record.stem.removeprefix("run-")


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_missing_library_is_named_with_its_extra_before_any_image_is_read(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    config = changed(logging_to(config, name), "data", roots=[str(tmp_path / "absent")])
    with pytest.raises(WriterMissing, match=rf"{name} is not installed: pip install 'likeness\[{name}\]'$"):
        trainer.train(config, tmp_path / "run", resume=False)
