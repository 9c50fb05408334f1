"""The writers of a run's scalars by name: TensorBoard, MLflow, Weights & Biases."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from torch.utils.tensorboard import SummaryWriter

from training.config.schema import ScalarWriterName, TrainConfig
from training.errors import TrainingError

PROJECT = "likeness"  # MLflow's experiment, and W&B's project where WANDB_PROJECT names none

_MLFLOW_BATCH = 120  # scalars in a request, those of ten steps: one request for each would slow a step down


class WriterMissing(TrainingError):
    """The library of a writer cannot be imported."""


class ScalarWriter(Protocol):
    """Takes scalars as TensorBoard's SummaryWriter does, the steps in ascending order."""

    def add_scalar(self, tag: str, value: float, step: int) -> None: ...
    def close(self, *, failed: bool) -> None: ...


class TensorBoardWriter:
    """Writes to `output`/tensorboard; what a stopped run wrote from step `first` on is hidden."""

    def __init__(self, output: Path, _config: TrainConfig, first: int) -> None:
        self._writer = SummaryWriter(str(output / "tensorboard"), purge_step=first)

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        self._writer.add_scalar(tag, value, step)

    def close(self, *, failed: bool) -> None:  # noqa: ARG002 - TensorBoard has no status
        self._writer.close()


class MLflowWriter:
    """Logs to the server or database of MLFLOW_TRACKING_URI, by default to `output`/mlflow.db; sends no telemetry."""

    def __init__(self, output: Path, config: TrainConfig, _first: int) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when MLflow is imported
        import mlflow

        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(output / 'mlflow.db').resolve()}"
        self._client = mlflow.MlflowClient(tracking_uri=uri)
        self._run = self._open(output / "mlflow.run", output.resolve().name, config)
        self._metric, self._pending = mlflow.entities.Metric, list[Any]()

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        self._pending.append(self._metric(tag, value, timestamp=time.time_ns() // 1_000_000, step=step))
        if len(self._pending) >= _MLFLOW_BATCH:
            self._send()

    def close(self, *, failed: bool) -> None:
        self._send()
        self._client.set_terminated(self._run, "FAILED" if failed else "FINISHED")

    def _send(self) -> None:
        self._client.log_batch(self._run, metrics=self._pending)
        self._pending.clear()

    def _open(self, id_file: Path, name: str, config: TrainConfig) -> str:
        """Return the id of the run that a resumed training goes on with, or of a new one that has the options."""
        if id_file.exists():
            run_id = id_file.read_text(encoding="utf-8")
            self._client.update_run(run_id, status="RUNNING")
            return run_id
        experiment = self._client.get_experiment_by_name(PROJECT)
        experiment_id = experiment.experiment_id if experiment else self._client.create_experiment(PROJECT)
        run_id = str(self._client.create_run(experiment_id, run_name=name).info.run_id)
        for option, value in _options(config):
            self._client.log_param(run_id, option, value)
        id_file.write_text(run_id, encoding="utf-8")
        return run_id


class WandbWriter:
    """Writes to `output`/wandb, which `wandb sync` uploads; WANDB_MODE=online sends everything at once."""

    def __init__(self, output: Path, config: TrainConfig, _first: int) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # W&B's reports of its own crashes
        import wandb

        id_file = output / "wandb.run"
        if not id_file.exists():
            id_file.write_text(uuid4().hex[:8], encoding="utf-8")
        self._run: Any = wandb.init(
            mode=os.environ.get("WANDB_MODE") or "offline",
            dir=str(output),
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            name=output.resolve().name,
            id=id_file.read_text(encoding="utf-8"),
            resume="allow",
            config=dict(_options(config)),
            # only scalars and options were asked for: no console output, host, hardware, packages, git remote or code
            settings=wandb.Settings(
                console="off",
                disable_git=True,
                host="",
                silent=True,
                x_disable_meta=True,
                x_disable_stats=True,
                x_save_requirements=False,
            ),
        )

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        self._run.log({tag: value}, step=step)

    def close(self, *, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))


WRITERS: dict[ScalarWriterName, Callable[[Path, TrainConfig, int], ScalarWriter]] = {
    "tensorboard": TensorBoardWriter,
    "mlflow": MLflowWriter,
    "wandb": WandbWriter,
}


def check_installed(names: Iterable[ScalarWriterName]) -> None:
    """Raise WriterMissing for a writer whose library is not installed."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise WriterMissing(f"run.log_to: {name} is not installed: pip install 'likeness[{name}]'")


def open_writers(output: Path, config: TrainConfig, first: int) -> list[ScalarWriter]:
    """Return the writers of the config; `first` is the step that the run begins or goes on with."""
    return [WRITERS[name](output, config, first) for name in config.run.log_to]


def _options(config: TrainConfig) -> list[tuple[str, Any]]:
    """Return `section.option` and value of all options."""
    sections = config.model_dump(mode="json").items()
    return [(f"{section}.{option}", value) for section, values in sections for option, value in values.items()]
