"""The training loop, from config to weights. Read it from `run` down; one step of it is in `learner`."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from training.config.schema import TrainConfig
from training.data.dataset import FaceSet
from training.data.splits import split
from training.engine import checkpoints, distillation, run_record
from training.engine.best_checkpoint import Selection
from training.engine.checkpoints import Contents, UnusableCheckpoint
from training.engine.curriculum import Course
from training.engine.distributed import Processes, joined
from training.engine.health_checks import Diagnosis
from training.engine.logging import Journal
from training.engine.lr_schedules import schedule
from training.engine.malloc import keep_freed_memory
from training.engine.signals import interruption
from training.engine.train_step import Learner, learner
from training.errors import TrainingError
from training.networks.embedder import FaceNetwork
from training.networks.registry import build
from training.networks.weights import load_state

NETWORK, RUN = "network.pt", "run.json"
console = Console(stderr=True)


class Interrupted(TrainingError):
    """Ctrl-C: the run is saved, and the message says where and how to go on."""


def run(config: TrainConfig, output: Path, *, resume: bool) -> Path:
    """
    Train as `config` says and return `output`/network.pt, a state dict; run.json beside it says how it came about.

    Raises a TrainingError: of the data, the weights, the checkpoint, the disk or the device, or it is Collapsed,
    AtChance, Diverged or Interrupted.
    """
    with joined(config.run) as processes, checkpoints.full_disk_told(output):
        console.quiet = not processes.first
        _run(config, output, processes, resume=resume)
        processes.wait()
    return output / NETWORK


def _run(config: TrainConfig, output: Path, processes: Processes, *, resume: bool) -> None:
    """A frame of its own: what holds the process group (DDP does) is gone before the group is."""
    kept = _claim(config, output, resume=resume)
    processes.wait()  # all have looked before the first one writes
    _prepare(config)
    training = Training(config, output, processes)
    if kept is not None:
        training.restore(kept)
    if not (output / RUN).exists():  # it is written last
        training.train()


class Training:
    """All of a run: its parts, whose states make a checkpoint, and the loop over them."""

    def __init__(self, config: TrainConfig, output: Path, processes: Processes) -> None:
        self.config, self.output, self.processes = config, output, processes
        self.faces, held_out = _faces(config)
        self.learning = _learner(config, self.faces, output, processes)
        self.course = Course(config, self.faces, self.learning, processes)
        self.selection = Selection(
            config.evaluation, config.optimiser.steps, held_out if processes.first else None, output
        )
        self.diagnosis = Diagnosis(config.loss, config.watch.patience, config.pretraining.steps)

    def train(self) -> None:
        """All steps that are left, then network.pt and run.json."""
        for complaint in (self.course.complaint, _of_frozen_statistics(self.config)):
            if complaint:
                console.print(f"warning: {complaint}")
        metrics = self._steps()
        if self.processes.first:
            evaluation = self.selection.report()
            checkpoints.write(self.output / NETWORK, self.selection.weights() or self.learning.weights())
            seconds = self.learning.seconds
            run_record.write(
                self.output / RUN, self.config, self.faces, seconds=seconds, metrics=metrics, evaluation=evaluation
            )

    def _steps(self) -> dict[str, float]:
        """The means of the last ones."""
        steps, rate = self.config.optimiser.steps, schedule(self.config.optimiser)
        first, shows = self.learning.step, self.processes.first
        with interruption() as wanted, Journal(self.output, steps, first=first, shows=shows) as journal:
            for step, batch in self.course.ahead():
                measures = self.learning.learn(batch, rate(step))
                journal.record(step, measures)
                journal.warn(self.diagnosis.note(step, measures))
                journal.validated(self.selection.after(self.learning))
                self._save(stop=self.processes.any(wanted.is_set()))
        return journal.recent()

    def _save(self, *, stop: bool) -> None:
        """A checkpoint where one is due; Interrupted where the run is to stop."""
        step, end = self.learning.step, self.config.optimiser.steps
        if (stop or step == end or step % self.config.run.checkpoint_every == 0) and self.processes.first:
            checkpoints.save(self.output, self.contents())
        if stop and step < end:
            self.processes.wait()
            raise Interrupted(f"stopped after step {step}; saved in {self.output}, go on with --resume")

    def contents(self) -> Contents:
        return {
            "config": self.config.model_dump(mode="json"),
            "faces": self.faces.digest,
            "learner": self.learning.contents(),
            "course": self.course.contents(),
            "selection": self.selection.contents(),
            "diagnosis": self.diagnosis.contents(),
        }

    def restore(self, kept: Contents) -> None:
        if kept["faces"] != self.faces.digest:
            raise UnusableCheckpoint("the training images have changed since the checkpoint: choose a new output")
        self.learning.restore(kept["learner"])
        self.course.restore(kept["course"])
        self.selection.restore(kept["selection"])
        self.diagnosis.restore(kept["diagnosis"])


def _claim(config: TrainConfig, output: Path, *, resume: bool) -> Contents | None:
    """The checkpoint to go on from, which is this config's; an output that holds a run is never overwritten unasked."""
    if not resume and checkpoints.exists(output):
        raise UnusableCheckpoint(f"{output} already holds a run: resume it, or choose another output")
    kept = checkpoints.load(output) if resume else None
    if kept is not None and kept["config"] != config.model_dump(mode="json"):
        raise UnusableCheckpoint(f"{output} was begun with another config: give it that one, or choose another output")
    output.mkdir(parents=True, exist_ok=True)
    (output / "config.json").write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return kept


def _prepare(config: TrainConfig) -> None:
    keep_freed_memory()
    torch.set_num_threads(config.run.threads)
    cv2.setNumThreads(1)


def _faces(config: TrainConfig) -> tuple[FaceSet, FaceSet | None]:
    """Those to train on, and those held out."""
    with console.status("reading the faces"):
        faces, held_out = split(config)
    console.print(f"{len(faces)} faces of {len(faces.names)} people")
    if held_out is not None:
        console.print(f"{len(held_out)} faces of {len(held_out.names)} people held out")
    for skip in faces.skipped:
        console.print(f"skipped {skip.path}: {skip.reason}")
    return faces, held_out


def _learner(config: TrainConfig, faces: FaceSet, output: Path, processes: Processes) -> Learner:
    """The network with its starting weights; its teacher, unless another is named, is the network as it is now."""
    torch.manual_seed(config.run.seed)
    network = build(config.network.name, config.network.embedding_size)
    if config.network.weights is not None:
        load_state(network, config.network.weights)
    targets = _targets(config, network, faces, output, processes) if config.loss.anchoring else None
    return learner(network, config, targets, people=len(faces.names), processes=processes)


def _targets(config: TrainConfig, network: FaceNetwork, faces: FaceSet, output: Path, processes: Processes) -> Tensor:
    """The first process makes them, the others read them."""
    tutor = distillation.of_config(config, network, processes.device)
    if not processes.first:
        processes.wait()
    targets = distillation.targets(tutor, faces, output / "teacher.pt", network.embedding_size, _tracked)
    if processes.first:
        processes.wait()
    return targets


def _tracked(chunks: range) -> Iterator[int]:
    return iter(track(chunks, "teacher", console=console))


def _of_frozen_statistics(config: TrainConfig) -> str | None:
    if config.network.weights is not None or config.network.batch_norm == "updated":
        return None
    return "BatchNorm statistics of fresh weights are frozen: set network.batch_norm to 'updated'"
