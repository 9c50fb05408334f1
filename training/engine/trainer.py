"""The training run, from config to weights: read from `train` down; one step is in `train_step`."""

from pathlib import Path
from typing import Any

import cv2
import torch

from training.config.schema import TrainConfig
from training.data.crops import CropGeometry
from training.data.dataset import CropFormat
from training.engine import checkpoints, resume_checks, run_record
from training.engine.best_checkpoint import BestCheckpoint
from training.engine.build_learner import open_learner, starting_network
from training.engine.checkpoints import State, UnusableCheckpoint
from training.engine.console import console
from training.engine.curriculum import Curriculum
from training.engine.distributed import Processes, init_distributed
from training.engine.health_checks import HealthChecks
from training.engine.logging import RunLogger
from training.engine.lr_schedules import lr_schedule
from training.engine.malloc import keep_freed_memory
from training.engine.run_data import find_pairs, read_faces
from training.engine.run_record import RECORD, WEIGHTS
from training.engine.scalar_writers import check_installed, open_writers
from training.engine.signals import interrupt_event
from training.errors import TrainingError


class Interrupted(TrainingError):
    """The run was stopped by Ctrl-C after a checkpoint; the message says where it is and how to go on."""


def train(config: TrainConfig, output: Path, *, resume: bool) -> Path:
    """
    Train and return `output`/network.pt, a state dict; run.json beside it records how it was made.

    Raises a TrainingError for unusable data, weights, checkpoints, disks or devices, or Collapsed, AtChance, Diverged
    or Interrupted.
    """
    with init_distributed(config.run) as processes, checkpoints.report_full_disk(output):
        console.quiet = not processes.is_main
        _train(config, output, processes, resume=resume)
        processes.barrier()
    return output / WEIGHTS


def _train(config: TrainConfig, output: Path, processes: Processes, *, resume: bool) -> None:
    """Run in a frame of its own, so that what holds the process group (DDP) is freed before the group is destroyed."""
    check_installed(config.run.log_to)
    state = _open_output(config, output, resume=resume)
    processes.barrier()  # every process has read `output` before the main one writes there
    if processes.is_main:
        _write_config(config, output)
    _configure_threads(config)
    trainer = Trainer(config, output, processes)
    if state is not None:
        trainer.load_state_dict(state)
    if trainer.learner.step < config.optimizer.steps or not (output / RECORD).exists():  # it is written last
        trainer.train()


class Trainer:
    """The parts of a run, whose states make a checkpoint, and the loop over its steps."""

    def __init__(self, config: TrainConfig, output: Path, processes: Processes) -> None:
        self.config, self.output, self.processes = config, output, processes
        network = starting_network(config)
        crops = CropFormat(CropGeometry(network.crop_size), config.data.rescaled, config.data.bare)
        self.faces, self.held_out = processes.from_main(lambda: read_faces(config, output, crops))
        self.resumed: list[dict[str, Any]] = []
        self.learner = open_learner(config, network, self.faces, output, processes)
        self.curriculum = Curriculum(config, self.faces, self.learner, processes)
        self.best = BestCheckpoint(
            config.evaluation, config.optimizer.steps, self.held_out if processes.is_main else None, output
        )
        size = network.crop_size
        self.pairs = processes.main_only(lambda: find_pairs(config, output, size))
        self.health = HealthChecks(config.loss, config.health_checks.patience, config.pretraining.steps)

    def train(self) -> None:
        """Run the remaining steps, then write network.pt and run.json."""
        for warning in (self.curriculum.warning, _frozen_statistics_warning(self.config)):
            if warning:
                console.print(f"warning: {warning}")
        metrics = self._run_steps()
        if self.processes.is_main:
            checkpoints.write(self.output / WEIGHTS, self.best.load() or self.learner.weights())
            run_record.write(
                self.output / RECORD,
                self.config,
                self.faces,
                seconds=self.learner.seconds,
                metrics=metrics,
                evaluation=self.best.report(),
                pairs=self.pairs.report() if self.pairs else None,
                resumed=self.resumed,
            )

    def _run_steps(self) -> dict[str, float]:
        """Return the mean metrics of the last steps."""
        steps, lr = self.config.optimizer.steps, lr_schedule(self.config.optimizer)
        first, is_main = self.learner.step, self.processes.is_main
        writers = open_writers(self.output, self.config, first) if is_main else []
        with interrupt_event() as interrupted, RunLogger(writers, steps, first=first, enabled=is_main) as logger:
            for step, batch in self.curriculum.batches(logger.log_pool):
                metrics = self.learner.train_step(batch, lr(step))
                logger.log_step(step, metrics)
                logger.warn(self.health.check(step, metrics))
                logger.log_validation(self.best.update(self.learner))
                logger.log_pairs(self.pairs.update(self.learner) if self.pairs else None)
                self._save(stop=self.processes.any(interrupted.is_set()))
        return logger.mean_metrics()

    def _save(self, *, stop: bool) -> None:
        """Save a checkpoint where one is due; raise Interrupted where the run has to stop."""
        step, end = self.learner.step, self.config.optimizer.steps
        if stop or step == end or step % self.config.run.checkpoint_every == 0:
            learner = self.learner.state_dict()  # in every process: each may have centers that the others have not
            if self.processes.is_main:
                checkpoints.save(self.output, self.state_dict(learner), self.config.run.keep_checkpoints)
        if stop and step < end:
            self.processes.barrier()
            raise Interrupted(f"stopped after step {step}; saved in {self.output}, go on with --resume")

    def state_dict(self, learner: State) -> State:
        return {
            "config": self.config.model_dump(mode="json"),
            "faces": self.faces.digest,
            "held_out": self.held_out.digest if self.held_out else None,
            "files": resume_checks.file_digests(self.config),
            "resumed": self.resumed,
            "learner": learner,
            "curriculum": self.curriculum.state_dict(),
            "best": self.best.state_dict(),
            "pairs": self.pairs.state_dict() if self.pairs else None,
            "health": self.health.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        if state["faces"] != self.faces.digest:
            raise UnusableCheckpoint("the training images have changed since the checkpoint: choose a new output")
        if state["held_out"] != (self.held_out.digest if self.held_out else None):
            raise UnusableCheckpoint("the held-out images have changed since the checkpoint: choose a new output")
        self.resumed = state["resumed"] + self._changes(state)
        self.learner.load_state_dict(state["learner"])
        self.curriculum.load_state_dict(state["curriculum"])
        self.best.load_state_dict(state["best"])
        if self.pairs:
            self.pairs.load_state_dict(state["pairs"])
        self.health.load_state_dict(state["health"])

    def _changes(self, state: State) -> list[dict[str, Any]]:
        """Print what differs from the checkpoint's config, and return it for run.json."""
        changes = resume_checks.changes(state, self.config)
        if not changes:
            return []
        step = state["learner"]["step"]
        console.print(f"resumed at step {step} with {', '.join(map(str, changes))}", soft_wrap=True)
        return [{"step": step, "changes": {change.option: [change.before, change.after] for change in changes}}]


def _open_output(config: TrainConfig, output: Path, *, resume: bool) -> State | None:
    """Return the checkpoint to resume from, if any. Raises UnusableCheckpoint for another run."""
    if not resume and checkpoints.exists(output):
        raise UnusableCheckpoint(f"{output} already holds a run: resume it, or choose another output")
    state = checkpoints.load(output) if resume else None
    if state is not None:
        resume_checks.changes(state, config)
    return state


def _write_config(config: TrainConfig, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    (output / "config.json").write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
    run_record.write_source(output)


def _configure_threads(config: TrainConfig) -> None:
    keep_freed_memory()
    torch.set_num_threads(config.run.threads)
    torch.set_float32_matmul_precision("high" if config.run.tf32 else "highest")
    torch.backends.cudnn.allow_tf32 = config.run.tf32
    cv2.setNumThreads(1)


def _frozen_statistics_warning(config: TrainConfig) -> str | None:
    if config.network.weights is not None or config.network.batch_norm == "updated":
        return None
    return "BatchNorm statistics of fresh weights are frozen: set network.batch_norm to 'updated'"
