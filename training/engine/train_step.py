"""One training step: embed, mine, compute the loss, backpropagate, update the weights."""

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import AveragedModel

from training.config.losses import LossConfig
from training.config.schema import TrainConfig
from training.data.loader import Batch
from training.engine.checkpoints import State
from training.engine.distributed import Processes
from training.engine.grad_cache import GradCache, faces_are_coupled
from training.engine.logging import StepMetrics
from training.engine.optimizers import build_optimizer, weight_average
from training.errors import TrainingError
from training.losses import functional as losses
from training.losses.margin_softmax import MarginSoftmax
from training.losses.objectives import LOSSES, Objective
from training.losses.reducers import REDUCERS
from training.losses.softmax_registry import build_softmax
from training.networks.dropout import drop_before_head
from training.networks.embedder import Embedder, FaceNetwork
from training.randomness import Stream, torch_generator

SINGLE_PROCESS = Processes()


class Diverged(TrainingError):
    """The loss is not finite, or far above chance."""


@dataclass(slots=True, eq=False)
class Learner:
    """
    Everything that changes during training.

    `targets` (N, D) are the teacher's vectors of all faces, if there is a teacher; `softmax` is the loss of the first
    `pretraining_steps`, or of all steps; `average` is the moving average of the weights, if one is kept.
    """

    embedder: Embedder
    grad_cache: GradCache
    optimizer: torch.optim.Optimizer
    scaler: GradScaler
    loss: LossConfig
    clip_norm: float
    seed: int
    targets: Tensor | None
    softmax: MarginSoftmax | None
    pretraining_steps: int
    average: AveragedModel | None
    processes: Processes
    step: int = 0
    seconds: float = 0

    def train_step(self, batch: Batch, lr: float) -> StepMetrics:
        """Update the weights once, for the loss objective + the weighted losses of distillation."""
        start = time.perf_counter()
        device, own = self.processes.device, self.processes.shard(len(batch.faces))
        vectors = self.grad_cache.embed(batch.views, self.step)  # (B / processes, D), not normalised
        joint = self.processes.all_gather(vectors.detach()).requires_grad_()  # (B, D)
        embeddings = functional.normalize(joint)  # (B, D)
        labels = batch.labels.to(device)
        each = self._softmax_losses(joint, labels)  # (B,)
        if each is None:
            each = self._objective(batch)(embeddings, labels)  # (T,)
        objective = REDUCERS[self.loss.reducer](each)
        distillation, relations = self._distillation(embeddings, batch)
        loss = self._finite(
            objective + self.loss.distillation_weight * distillation + self.loss.relational_weight * relations
        )
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        assert joint.grad is not None  # noqa: S101 - for the type checker
        self.grad_cache.backward(batch.views, vectors, joint.grad[own], self.step)
        grad_norm = self._step_optimizer(lr)
        self.seconds += (took := time.perf_counter() - start)
        genuine, impostor = losses.mean_distances(losses.squared_l2(embeddings.detach()), labels)
        return StepMetrics(
            loss=loss.item(),
            objective=objective.item(),
            distillation=distillation.item(),
            relations=relations.item(),
            mined=len(each),
            active_share=losses.active_share(each),
            genuine_distance=genuine,
            impostor_distance=impostor,
            spread=losses.spread(embeddings.detach()),
            grad_norm=grad_norm,
            lr=lr,
            images_per_second=len(batch.faces) / took,
        )

    @property
    def network(self) -> FaceNetwork:
        return self.embedder.network

    def weights(self) -> dict[str, Tensor]:
        """Return the weights to evaluate and to keep: their moving average, where there is one."""
        network = self.average.module if self.average else self.network
        return dict(network.state_dict())

    def state_dict(self) -> State:
        return {
            "step": self.step,
            "seconds": self.seconds,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "softmax": self.softmax.state_dict() if self.softmax else None,
            "average": self.average.state_dict() if self.average else None,
        }

    def load_state_dict(self, state: State) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        if self.softmax:
            self.softmax.load_state_dict(state["softmax"])
        if self.average:
            self.average.load_state_dict(state["average"])
        self.step, self.seconds = state["step"], state["seconds"]

    def _softmax_losses(self, vectors: Tensor, people: Tensor) -> Tensor | None:
        """Return the losses (B,) of unnormalised vectors (B, D), in the steps that are trained so."""
        if self.softmax is None or (self.loss.kind != "softmax" and self.step >= self.pretraining_steps):
            return None
        losses: Tensor = self.softmax(vectors, people, torch_generator(self.seed, Stream.MARGINS, self.step))
        return losses

    def _objective(self, batch: Batch) -> Objective:
        random = torch_generator(self.seed, Stream.MINING, self.step)
        return LOSSES[self.loss.kind].objective(self.loss, random, batch.triplets)

    def _distillation(self, embeddings: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the mean distance to the teacher's vectors, and the mean squared difference of cosines."""
        if self.targets is None:
            return embeddings.new_zeros(()), embeddings.new_zeros(())
        targets = self.targets[batch.faces].to(embeddings.device)  # (B, D)
        relations = (
            losses.relational_losses(embeddings, targets) if self.loss.relational_weight else targets.new_zeros(1)
        )
        return losses.distillation_losses(embeddings, targets).mean(), relations.mean()

    def _finite(self, loss: Tensor) -> Tensor:
        if not math.isfinite(loss.item()):
            raise Diverged(f"the loss is {loss.item()} at step {self.step}: lower optimizer.lr")
        return loss

    def _step_optimizer(self, lr: float) -> float:
        """Update the weights and return the gradient's norm before clipping."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.scaler.unscale_(self.optimizer)
        if self.softmax and self.softmax.centers.grad is not None:
            self.processes.all_reduce_mean(self.softmax.centers.grad)  # removes rounding differences between processes
        norm = float(clip_grad_norm_(self._parameters(), self.clip_norm))
        if not (math.isfinite(norm) or self.scaler.is_enabled()):  # the scaler skips such a step by itself
            raise Diverged(f"the gradient is {norm} at step {self.step}: lower optimizer.lr")
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average:
            self.average.update_parameters(self.network)
        self.step += 1
        return norm

    def _parameters(self) -> list[nn.Parameter]:
        return [*self.embedder.parameters(), *(self.softmax.parameters() if self.softmax else ())]


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
    embedder = _trainable(network, frozen=config.network.batch_norm == "frozen").to(processes.device)
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


def _softmax(network: FaceNetwork, config: TrainConfig, people: int, processes: Processes) -> MarginSoftmax | None:
    if not (config.pretraining.steps or config.loss.kind == "softmax"):
        return None
    return build_softmax(config.softmax.loss, people, network.embedding_size, config.softmax).to(processes.device)


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
