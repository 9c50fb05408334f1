"""The training loop: batch, embed, mine, loss, step. Read it from `run` down."""

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import cv2
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from training import checkpoints, losses, provenance, teacher
from training.batches import Batch, Batches
from training.checkpoints import Contents, UnusableCheckpoint
from training.config import LossConfig, TrainConfig
from training.data import FaceSet, read_faces
from training.errors import TrainingError
from training.journal import Journal, Measures
from training.memory import keep_freed_memory
from training.mining import miner
from training.networks import Embedder, FaceNetwork, build, load_state
from training.sampling import PeopleSampler
from training.schedules import learning_rate

NETWORK, RUN = "network.pt", "run.json"
console = Console(stderr=True)


class Interrupted(TrainingError):
    """Ctrl-C: the run is saved, and the message says where and how to go on."""


class Diverged(TrainingError):
    """The loss is no longer a number."""


def run(config: TrainConfig, output: Path, *, resume: bool = False) -> Path:
    """
    Train as `config` says and return `output`/network.pt, a state dict; run.json beside it says how it came about.

    Raises UnusableData, UnusableWeights, UnusableCheckpoint, TooFewPeople, Diverged or Interrupted.
    """
    kept = _claim(output, resume=resume)
    faces = _faces(config)
    learner = _learner(config, faces, output)
    if kept is not None:
        learner.restore(kept, config, faces)
    if (output / RUN).exists():  # it is written last
        return output / NETWORK
    with _interruption() as wanted, Journal(output, config.optimiser.steps, first=learner.step) as journal:
        for step, batch in _batches(config, faces).ahead(learner.step, config.optimiser.steps):
            journal.record(step, learner.learn(batch, learning_rate(step, config.optimiser)))
            last = learner.step == config.optimiser.steps
            if last or wanted.is_set() or learner.step % config.run.checkpoint_every == 0:
                checkpoints.save(output, learner.contents(config, faces))
            if wanted.is_set() and not last:
                raise Interrupted(f"stopped after step {learner.step}; saved in {output}, go on with --resume")
    return _finish(config, faces, learner, output, journal.recent())


@dataclass(slots=True, eq=False)
class Learner:
    """All that changes while training: weights, optimiser, step."""

    embedder: Embedder
    optimiser: torch.optim.Optimizer
    loss: LossConfig
    clip: float
    targets: Tensor | None
    step: int = 0
    seconds: float = 0

    def learn(self, batch: Batch, rate: float) -> Measures:
        """One step: loss = triplet + anchoring weight * ||e - teacher||^2."""
        start = time.perf_counter()
        self._set_rate(rate)
        embeddings = self.embedder(batch.views)  # (B, D)
        distances = losses.squared_l2(embeddings)  # (B, B)
        triplets = miner(self.loss.miner, self.loss.margin)(distances.detach(), batch.people)
        violations = losses.triplet_losses(distances, triplets, self.loss.margin)  # (T,)
        triplet = losses.REDUCERS[self.loss.reducer](violations)
        anchoring = self._anchoring(embeddings, batch)
        loss = triplet + self.loss.anchoring * anchoring
        gradient = self._descend(loss)
        took = time.perf_counter() - start
        self.seconds += took
        positive, negative = losses.mean_distances(distances.detach(), batch.people)
        return Measures(
            loss=loss.item(),
            triplet=triplet.item(),
            anchoring=anchoring.item(),
            active=losses.active_share(violations),
            positive=positive,
            negative=negative,
            gradient=gradient,
            learning_rate=rate,
            images_per_second=len(batch.views) / took,
        )

    def contents(self, config: TrainConfig, faces: FaceSet) -> Contents:
        return {
            "step": self.step,
            "seconds": self.seconds,
            "network": self.embedder.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "random": torch.get_rng_state(),
            "config": config.model_dump(mode="json"),
            "faces": faces.digest,
        }

    def restore(self, kept: Contents, config: TrainConfig, faces: FaceSet) -> None:
        """Go on as if there had been no interruption; UnusableCheckpoint if config or faces have changed since."""
        if kept["config"] != config.model_dump(mode="json"):
            raise UnusableCheckpoint("the checkpoint was made with another config: give it that one, or a new output")
        if kept["faces"] != faces.digest:
            raise UnusableCheckpoint("the training images have changed since the checkpoint: choose a new output")
        self.embedder.network.load_state_dict(kept["network"])
        self.optimiser.load_state_dict(kept["optimiser"])
        torch.set_rng_state(kept["random"])
        self.step, self.seconds = kept["step"], kept["seconds"]

    def _anchoring(self, embeddings: Tensor, batch: Batch) -> Tensor:
        if self.targets is None:
            return embeddings.new_zeros(())
        return losses.anchoring_losses(embeddings, self.targets[batch.faces]).mean()

    def _descend(self, loss: Tensor) -> float:
        """The gradient's norm before clipping."""
        if not math.isfinite(loss.item()):
            raise Diverged(f"the loss is {loss.item()} at step {self.step}: lower optimiser.learning_rate")
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = clip_grad_norm_(self.embedder.parameters(), self.clip)
        self.optimiser.step()
        self.step += 1
        return float(norm)

    def _set_rate(self, rate: float) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = rate


def _claim(output: Path, *, resume: bool) -> Contents | None:
    """The checkpoint to go on from; an output that holds a run is never overwritten unasked."""
    if resume:
        return checkpoints.load(output)
    if checkpoints.exists(output):
        raise UnusableCheckpoint(f"{output} already holds a run: resume it, or choose another output")
    output.mkdir(parents=True, exist_ok=True)
    return None


def _faces(config: TrainConfig) -> FaceSet:
    with console.status("reading the faces"):
        faces = read_faces(config.data.roots, minimum=config.data.minimum_faces, threads=config.run.threads)
    console.print(f"{len(faces)} faces of {len(faces.names)} people")
    for skip in faces.skipped:
        console.print(f"skipped {skip.path}: {skip.reason}")
    return faces


def _learner(config: TrainConfig, faces: FaceSet, output: Path) -> Learner:
    keep_freed_memory()
    torch.set_num_threads(config.run.threads)
    cv2.setNumThreads(1)
    torch.manual_seed(config.run.seed)
    network = build(config.network.name, config.network.embedding_size)
    if config.network.weights is not None:
        load_state(network, config.network.weights)
    targets = None
    if config.loss.anchoring:
        targets = teacher.targets(network, faces, output / "teacher.pt", _tracked)
    (output / "config.json").write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return Learner(
        embedder=_trainable(network, frozen=config.network.batch_norm == "frozen"),
        optimiser=torch.optim.SGD(
            network.parameters(),
            lr=config.optimiser.learning_rate,
            momentum=config.optimiser.momentum,
            weight_decay=config.optimiser.weight_decay,
        ),
        loss=config.loss,
        clip=config.optimiser.clip,
        targets=targets,
    )


def _tracked(chunks: range) -> Iterator[int]:
    return iter(track(chunks, "teacher", console=console))


def _trainable(network: FaceNetwork, *, frozen: bool) -> Embedder:
    """In training mode; with `frozen`, BatchNorm keeps its statistics, and only its scale and shift are trained."""
    embedder = Embedder(network).train()
    for layer in network.modules():
        if frozen and isinstance(layer, nn.BatchNorm2d):
            layer.eval()
    return embedder


def _batches(config: TrainConfig, faces: FaceSet) -> Batches:
    sampler = PeopleSampler(faces.faces_of, config.batch.people, config.batch.faces, config.run.seed)
    return Batches(faces, sampler, config.augmentation, config.run.seed)


@contextmanager
def _interruption() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets, so that the step under way is finished; in another thread nothing is caught."""
    wanted = threading.Event()

    def note(_signal: int, _frame: FrameType | None) -> None:
        wanted.set()

    if threading.current_thread() is not threading.main_thread():
        yield wanted
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield wanted
    finally:
        signal.signal(signal.SIGINT, before)


def _finish(config: TrainConfig, faces: FaceSet, learner: Learner, output: Path, metrics: dict[str, float]) -> Path:
    weights = output / NETWORK
    checkpoints.write(weights, learner.embedder.network.state_dict())
    provenance.write(output / RUN, config, faces, seconds=learner.seconds, metrics=metrics)
    return weights
