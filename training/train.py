"""The training loop, from config to weights. Read it from `run` down; one step of it is in `learner`."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import torch
from rich.console import Console
from rich.progress import track

from training import checkpoints, provenance, teacher
from training.batches import Batches
from training.checkpoints import Contents, UnusableCheckpoint
from training.config import TrainConfig
from training.data import FaceSet, read_faces
from training.errors import TrainingError
from training.interruption import interruption
from training.journal import Journal
from training.learner import Learner, learner
from training.memory import keep_freed_memory
from training.networks import build, load_state
from training.sampling import PeopleSampler
from training.schedules import learning_rate

NETWORK, RUN = "network.pt", "run.json"
console = Console(stderr=True)


class Interrupted(TrainingError):
    """Ctrl-C: the run is saved, and the message says where and how to go on."""


def run(config: TrainConfig, output: Path, *, resume: bool) -> Path:
    """
    Train as `config` says and return `output`/network.pt, a state dict; run.json beside it says how it came about.

    Raises UnusableData, UnusableWeights, UnusableCheckpoint, TooFewPeople, Diverged or Interrupted.
    """
    kept = _claim(config, output, resume=resume)
    faces = _faces(config)
    batches = _batches(config, faces)
    learning = _learner(config, faces, output)
    if kept is not None:
        _restore(learning, kept, faces)
    if (output / RUN).exists():  # it is written last
        return output / NETWORK
    metrics = _train(learning, batches, config, output)
    checkpoints.write(output / NETWORK, learning.embedder.network.state_dict())
    provenance.write(output / RUN, config, faces, seconds=learning.seconds, metrics=metrics)
    return output / NETWORK


def _train(learning: Learner, batches: Batches, config: TrainConfig, output: Path) -> dict[str, float]:
    """All steps that are left; the means of the last ones."""
    steps = config.optimiser.steps
    origin = {"config": config.model_dump(mode="json"), "faces": batches.faces.digest}
    with interruption() as wanted, Journal(output, steps, first=learning.step) as journal:
        for step, batch in batches.ahead(learning.step, steps):
            journal.record(step, learning.learn(batch, learning_rate(step, config.optimiser)))
            due = learning.step % config.run.checkpoint_every == 0 or learning.step == steps
            if due or wanted.is_set():
                checkpoints.save(output, learning.contents() | origin)
            if wanted.is_set() and learning.step < steps:
                raise Interrupted(f"stopped after step {learning.step}; saved in {output}, go on with --resume")
    return journal.recent()


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


def _faces(config: TrainConfig) -> FaceSet:
    with console.status("reading the faces"):
        faces = read_faces(config.data.roots, minimum=config.data.minimum_faces, threads=config.run.threads)
    console.print(f"{len(faces)} faces of {len(faces.names)} people")
    for skip in faces.skipped:
        console.print(f"skipped {skip.path}: {skip.reason}")
    return faces


def _batches(config: TrainConfig, faces: FaceSet) -> Batches:
    sampler = PeopleSampler(faces.faces_of, config.batch.people, config.batch.faces, config.run.seed)
    return Batches(faces, sampler, config.augmentation, config.run.seed)


def _learner(config: TrainConfig, faces: FaceSet, output: Path) -> Learner:
    """The network with its starting weights; its teacher is the network as it is now."""
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
    return learner(network, config, targets)


def _tracked(chunks: range) -> Iterator[int]:
    return iter(track(chunks, "teacher", console=console))


def _restore(learning: Learner, kept: Contents, faces: FaceSet) -> None:
    if kept["faces"] != faces.digest:
        raise UnusableCheckpoint("the training images have changed since the checkpoint: choose a new output")
    learning.restore(kept)
