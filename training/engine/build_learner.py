"""Build what a run trains: the starting network, the targets of its teacher, and the learner."""

from collections.abc import Iterator
from pathlib import Path

import torch
from rich.progress import track
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from training.config.schema import TrainConfig
from training.data.dataset import FaceSet
from training.engine import distillation
from training.engine.console import console
from training.engine.distributed import Processes
from training.engine.grad_cache import GradCache, faces_are_coupled
from training.engine.optimizers import build_optimizer, weight_average
from training.engine.train_step import Learner
from training.losses.margin_softmax import MarginSoftmax
from training.losses.partial_fc import PartialFC, people_of
from training.losses.softmax_registry import build_softmax
from training.networks.checkpointing import checkpoint_blocks
from training.networks.dropout import drop_before_head
from training.networks.embedder import Embedder, FaceNetwork
from training.networks.registry import build
from training.networks.weights import load_state

SINGLE_PROCESS = Processes()


def starting_network(config: TrainConfig) -> FaceNetwork:
    torch.manual_seed(config.run.seed)
    settings = config.network
    network = build(settings.name, settings.embedding_size, per_image_scaling=settings.per_image_scaling)
    if config.network.weights is not None:
        load_state(network, config.network.weights)
    return network


def open_learner(
    config: TrainConfig, network: FaceNetwork, faces: FaceSet, output: Path, processes: Processes
) -> Learner:
    """Build the learner of the starting network, which is also the teacher unless the config names another."""
    needed = config.loss.needs_teacher
    targets = _teacher_targets(config, network, faces, output, processes) if needed else None
    return build_learner(network, config, targets, people=len(faces.names), processes=processes)


def build_learner(
    network: FaceNetwork,
    config: TrainConfig,
    targets: Tensor | None,
    *,
    people: int = 0,
    processes: Processes = SINGLE_PROCESS,
) -> Learner:
    """Return a learner at step 0; `people` is the number of classes of a softmax, where the config has one."""
    drop_before_head(network, config.network.dropout)
    if config.run.gradient_checkpointing:
        checkpoint_blocks(network)
    embedder = _trainable(network, frozen=config.network.batch_norm == "frozen").to(processes.device)
    if config.run.compile:
        embedder.compile(dynamic=False)
    softmax = _softmax(network, config, people, processes)
    parameters = [*network.parameters(), *(softmax.parameters() if softmax else ())]
    return Learner(
        embedder=embedder,
        grad_cache=_grad_cache(embedder, config, processes),
        optimizer=build_optimizer(parameters, config.optimizer),
        scaler=GradScaler(processes.device.type, enabled=config.run.precision == "float16"),
        loss=config.loss,
        clip_norm=config.optimizer.clip_norm,
        seed=config.run.seed,
        targets=targets,
        softmax=softmax,
        pretraining_steps=config.pretraining.steps,
        average=weight_average(network, config.optimizer.ema_decay) if config.optimizer.ema_decay else None,
        processes=processes,
    )


def _softmax(
    network: FaceNetwork, config: TrainConfig, people: int, processes: Processes
) -> MarginSoftmax | PartialFC | None:
    if not (config.pretraining.steps or config.loss.kind == "softmax"):
        return None
    settings, size = config.softmax, network.embedding_size
    if not settings.is_partial:
        return build_softmax(settings.loss, people, size, settings).to(processes.device)
    group = processes if settings.divided else SINGLE_PROCESS
    softmax = build_softmax(settings.loss, len(people_of(people, group)), size, settings)
    partial = PartialFC(softmax, people, share=settings.people_share, seed=config.run.seed, group=group)
    return partial.to(processes.device)


def _grad_cache(embedder: Embedder, config: TrainConfig, processes: Processes) -> GradCache:
    return GradCache(
        embedder=embedder,
        model=processes.data_parallel(embedder),
        processes=processes,
        chunk_size=config.batch.chunk_size,
        precision=config.run.precision,
        seed=config.run.seed,
        coupled=faces_are_coupled(embedder) or config.network.dropout > 0,
    )


def _trainable(network: FaceNetwork, *, frozen: bool) -> Embedder:
    """Switch to training mode; with `frozen`, BatchNorm keeps its statistics and trains only its scale and shift."""
    embedder = Embedder(network, normalized=False).train()
    for layer in network.modules():
        if frozen and isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.eval()
    return embedder


def _teacher_targets(
    config: TrainConfig, network: FaceNetwork, faces: FaceSet, output: Path, processes: Processes
) -> Tensor:
    """Compute the targets in the main process; the others wait and read them from disk."""
    teacher = distillation.build_teacher(config, network, processes.device)
    if not processes.is_main:
        processes.barrier()
    settings = config.teacher
    size = network.embedding_size if config.loss.distillation_weight or settings.rotated else None
    targets = distillation.teacher_targets(teacher, faces, output / "teacher.pt", size, _with_progress)
    if settings.rotated:
        start = distillation.network_teacher(network, views=settings.views, device=processes.device)
        vectors = distillation.teacher_targets(start, faces, output / "start.pt", size, _with_progress)
        targets = distillation.rotated_targets(targets, vectors, settings.start_share)
    if processes.is_main:
        processes.barrier()
    return targets


def _with_progress(chunks: range) -> Iterator[int]:
    return iter(track(chunks, "teacher", console=console))
