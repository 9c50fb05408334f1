"""One training step: embed, mine, compute the loss, backpropagate, update the weights."""

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.amp.grad_scaler import GradScaler
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_, clip_grads_with_norm_, get_total_norm
from torch.optim.swa_utils import AveragedModel

from training.config.losses import LossConfig
from training.data.loader import Batch
from training.engine.checkpoints import State
from training.engine.distributed import Processes
from training.engine.divided_centers import DividedCenters
from training.engine.grad_cache import GradCache
from training.engine.logging import StepMetrics
from training.errors import TrainingError
from training.losses import functional as losses
from training.losses.margin_softmax import MarginSoftmax
from training.losses.objectives import LOSSES, Objective
from training.losses.partial_fc import PartialFC
from training.losses.reducers import REDUCERS
from training.networks.embedder import Embedder, FaceNetwork
from training.randomness import Stream, torch_generator


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
    softmax: MarginSoftmax | PartialFC | None
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
        labels = batch.labels.to(device, non_blocking=True)
        each = self._softmax_losses(joint, labels)  # (B,)
        if each is None:
            each = self._objective(batch)(embeddings, labels)  # (T,)
        objective = REDUCERS[self.loss.reducer](each)
        distillation, relations = self._distillation(embeddings, batch)
        loss = objective + self.loss.distillation_weight * distillation + self.loss.relational_weight * relations
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        assert joint.grad is not None  # noqa: S101 - for the type checker
        self.grad_cache.backward(batch.views, vectors, joint.grad[own], self.step)
        grad_norm = self._clip_gradients(lr)
        genuine, impostor = losses.mean_distances(losses.squared_l2(embeddings.detach()), labels)
        measured = {
            "loss": loss,
            "objective": objective,
            "distillation": distillation,
            "relations": relations,
            "active_share": losses.active_share(each.detach()),
            "genuine_distance": genuine,
            "impostor_distance": impostor,
            "spread": losses.spread(embeddings.detach()),
            "grad_norm": grad_norm,
        }
        values = _fetched(measured)
        self._check_finite(values["loss"], values["grad_norm"])
        self._step_optimizer()
        self.seconds += (took := time.perf_counter() - start)
        return StepMetrics(**values, mined=len(each), lr=lr, images_per_second=len(batch.faces) / took)

    @property
    def network(self) -> FaceNetwork:
        return self.embedder.network

    def weights(self) -> dict[str, Tensor]:
        """Return the weights to evaluate and to keep: their moving average, where there is one."""
        network = self.average.module if self.average else self.network
        return dict(network.state_dict())

    def state_dict(self) -> State:
        """Return the state, complete in the main process; where centers are divided, all processes must call this."""
        optimizer, softmax = self.optimizer.state_dict(), self.softmax.state_dict() if self.softmax else None
        if self.centers and softmax:
            optimizer, softmax = self.centers.whole_optimizer(optimizer), self.centers.whole_softmax(softmax)
        return {
            "step": self.step,
            "seconds": self.seconds,
            "network": self.network.state_dict(),
            "optimizer": optimizer,
            "scaler": self.scaler.state_dict(),
            "softmax": softmax,
            "average": self.average.state_dict() if self.average else None,
        }

    def load_state_dict(self, state: State) -> None:
        self.network.load_state_dict(state["network"])
        optimizer, softmax = state["optimizer"], state["softmax"]
        if self.centers:
            optimizer, softmax = self.centers.own_optimizer(optimizer), self.centers.own_softmax(softmax)
        self.optimizer.load_state_dict(optimizer)
        self.scaler.load_state_dict(state["scaler"])
        if self.softmax:
            self.softmax.load_state_dict(softmax)
        if self.average:
            self.average.load_state_dict(state["average"])
        self.step, self.seconds = state["step"], state["seconds"]

    @property
    def centers(self) -> DividedCenters | None:
        """The centers that are divided over processes, where they are."""
        if isinstance(self.softmax, PartialFC) and self.softmax.group.size > 1:
            return DividedCenters(self.softmax, self.processes)
        return None

    def _softmax_losses(self, vectors: Tensor, people: Tensor) -> Tensor | None:
        """Return the losses (B,) of unnormalised vectors (B, D), in the steps that are trained so."""
        if self.softmax is None or (self.loss.kind != "softmax" and self.step >= self.pretraining_steps):
            return None
        margins = torch_generator(self.seed, Stream.MARGINS, self.step)
        if isinstance(self.softmax, PartialFC):
            return self.softmax.forward(vectors, people, margins, self.step)
        return self.softmax.forward(vectors, people, margins)

    def _objective(self, batch: Batch) -> Objective:
        random = torch_generator(self.seed, Stream.MINING, self.step)
        return LOSSES[self.loss.kind].objective(self.loss, random, batch.triplets)

    def _distillation(self, embeddings: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the mean distance to the teacher's vectors, and the mean squared difference of cosines."""
        if self.targets is None:
            return embeddings.new_zeros(()), embeddings.new_zeros(())
        targets = self.targets[batch.faces].to(embeddings.device, non_blocking=True)  # (B, D)
        relations = (
            losses.relational_losses(embeddings, targets) if self.loss.relational_weight else targets.new_zeros(1)
        )
        distances = (
            losses.distillation_losses(embeddings, targets) if self.loss.distillation_weight else targets.new_zeros(1)
        )
        return distances.mean(), relations.mean()

    def _check_finite(self, loss: float, norm: float) -> None:
        """Raise Diverged before the weights are updated; the scaler skips a step with such a gradient by itself."""
        if not math.isfinite(loss):
            raise Diverged(f"the loss is {loss} at step {self.step}: lower optimizer.lr")
        if not (math.isfinite(norm) or self.scaler.is_enabled()):
            raise Diverged(f"the gradient is {norm} at step {self.step}: lower optimizer.lr")

    def _step_optimizer(self) -> None:
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average:
            self.average.update_parameters(self.network)
        self.step += 1

    def _clip_gradients(self, lr: float) -> Tensor:
        """Set the learning rate, and return the norm () of the whole gradient before clipping."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.scaler.unscale_(self.optimizer)
        centers = self.softmax.centers if self.softmax and self.softmax.centers.grad is not None else None
        own = [*self.embedder.parameters(), *([] if centers is None else [centers])]
        if centers is None or centers.grad is None:
            return clip_grad_norm_(own, self.clip_norm)
        if not self.centers:
            self.processes.all_reduce_mean(centers.grad)  # removes rounding differences between processes
            return clip_grad_norm_(own, self.clip_norm)
        of_network = get_total_norm([each.grad for each in self.embedder.parameters() if each.grad is not None])
        of_centers = get_total_norm([centers.grad]).square()
        self.processes.sum(of_centers)
        norm = (of_network.square() + of_centers).sqrt()
        clip_grads_with_norm_(own, self.clip_norm, norm)
        return norm


def _fetched(measured: dict[str, Tensor]) -> dict[str, float]:
    """Return the numbers, fetched from the device together: each by itself would wait for it once more."""
    values: list[float] = torch.stack([value.detach().double() for value in measured.values()]).tolist()
    return dict(zip(measured, values, strict=True))
