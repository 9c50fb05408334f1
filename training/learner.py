"""One step of triplet training: embed, mine, loss, descend."""

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from training import losses
from training.batches import Batch
from training.checkpoints import Contents
from training.config import LossConfig, TrainConfig
from training.errors import TrainingError
from training.journal import Measures
from training.mining import miner
from training.networks import Embedder, FaceNetwork


class Diverged(TrainingError):
    """The loss is no longer a number."""


@dataclass(slots=True, eq=False)
class Learner:
    """All that changes while training. `targets` (N, D) are the teacher's vectors of all faces, if there is one."""

    embedder: Embedder
    optimiser: torch.optim.Optimizer
    loss: LossConfig
    clip: float
    targets: Tensor | None
    step: int = 0
    seconds: float = 0

    def learn(self, batch: Batch, rate: float) -> Measures:
        """Descend once on triplet loss + anchoring weight * ||e - teacher||^2, at learning rate `rate`."""
        start = time.perf_counter()
        embeddings = self.embedder(batch.views)  # (B, D)
        distances = losses.squared_l2(embeddings)  # (B, B)
        triplets = miner(self.loss.miner, self.loss.margin)(distances.detach(), batch.people)
        violations = losses.triplet_losses(distances, triplets, self.loss.margin)  # (T,)
        triplet = losses.REDUCERS[self.loss.reducer](violations)
        anchoring = self._anchoring(embeddings, batch)
        loss = triplet + self.loss.anchoring * anchoring
        gradient = self._descend(loss, rate)
        self.seconds += (took := time.perf_counter() - start)
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

    def contents(self) -> Contents:
        return {
            "step": self.step,
            "seconds": self.seconds,
            "network": self.embedder.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "random": torch.get_rng_state(),
        }

    def restore(self, kept: Contents) -> None:
        """Go on as if there had been no interruption."""
        self.embedder.network.load_state_dict(kept["network"])
        self.optimiser.load_state_dict(kept["optimiser"])
        torch.set_rng_state(kept["random"])
        self.step, self.seconds = kept["step"], kept["seconds"]

    def _anchoring(self, embeddings: Tensor, batch: Batch) -> Tensor:
        if self.targets is None:
            return embeddings.new_zeros(())
        return losses.anchoring_losses(embeddings, self.targets[batch.faces]).mean()

    def _descend(self, loss: Tensor, rate: float) -> float:
        """The gradient's norm before clipping."""
        if not math.isfinite(loss.item()):
            raise Diverged(f"the loss is {loss.item()} at step {self.step}: lower optimiser.learning_rate")
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = clip_grad_norm_(self.embedder.parameters(), self.clip)
        self.optimiser.step()
        self.step += 1
        return float(norm)


def learner(network: FaceNetwork, config: TrainConfig, targets: Tensor | None) -> Learner:
    """A learner at step 0, with the optimiser of the config."""
    settings = config.optimiser
    optimiser = torch.optim.SGD(
        network.parameters(),
        lr=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
    )
    embedder = _trainable(network, frozen=config.network.batch_norm == "frozen")
    return Learner(embedder, optimiser, config.loss, settings.clip, targets)


def _trainable(network: FaceNetwork, *, frozen: bool) -> Embedder:
    """In training mode; with `frozen`, BatchNorm keeps its statistics, and only its scale and shift are trained."""
    embedder = Embedder(network).train()
    for layer in network.modules():
        if frozen and isinstance(layer, nn.BatchNorm2d):
            layer.eval()
    return embedder
