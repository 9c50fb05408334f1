"""One step of training: embed, mine, loss, descend."""

import math
import time
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.nn.utils import clip_grad_norm_

from training.config.schema import LossConfig, TrainConfig
from training.data.loader import Batch
from training.engine.checkpoints import Contents
from training.engine.distributed import Processes
from training.engine.grad_cache import Passes, faces_are_coupled
from training.engine.logging import Measures
from training.engine.optimizers import WeightAverage, optimiser
from training.errors import TrainingError
from training.losses import functional as losses
from training.losses.arcface import ArcFace
from training.losses.objectives import LOSSES, Objective
from training.losses.reducers import REDUCERS
from training.networks.dropout import drop_before_head
from training.networks.embedder import Embedder, FaceNetwork
from training.randomness import Stream, torch_generator

ALONE = Processes()


class Diverged(TrainingError):
    """The loss is no longer a number, or far above chance."""


@dataclass(slots=True, eq=False)
class Learner:
    """
    All that changes while training. `targets` (N, D) are the teacher's vectors of all faces, if there is one; `softmax`
    is ArcFace's, for the first `pretraining` steps; `average` is of the weights, if it is kept.
    """

    embedder: Embedder
    passes: Passes
    optimiser: torch.optim.Optimizer
    scaler: GradScaler
    loss: LossConfig
    clip: float
    seed: int
    targets: Tensor | None
    softmax: ArcFace | None
    pretraining: int
    average: WeightAverage | None
    processes: Processes
    step: int = 0
    seconds: float = 0

    def learn(self, batch: Batch, rate: float) -> Measures:
        """Descend once on the objective + anchoring weight * ||e - teacher||^2, at learning rate `rate`."""
        start = time.perf_counter()
        device, own = self.processes.device, self.processes.part(len(batch.faces))
        vectors = self.passes.embed(batch.views, self.step)  # (B / processes, D)
        joint = self.processes.gather(vectors.detach()).requires_grad_()  # (B, D)
        people = batch.people.to(device)
        each = self._objective(batch)(joint, people)  # (T,)
        objective = REDUCERS[self.loss.reducer](each)
        anchoring = self._anchoring(joint, batch)
        loss = self._finite(objective + self.loss.anchoring * anchoring)
        self.optimiser.zero_grad()
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        assert joint.grad is not None  # noqa: S101 - for the type checker
        self.passes.descend(batch.views, vectors, joint.grad[own], self.step)
        gradient = self._descend(rate)
        self.seconds += (took := time.perf_counter() - start)
        positive, negative = losses.mean_distances(losses.squared_l2(joint.detach()), people)
        return Measures(
            loss=loss.item(),
            objective=objective.item(),
            anchoring=anchoring.item(),
            mined=len(each),
            active=losses.active_share(each),
            positive=positive,
            negative=negative,
            spread=losses.spread(joint.detach()),
            gradient=gradient,
            learning_rate=rate,
            images_per_second=len(batch.faces) / took,
        )

    @property
    def network(self) -> FaceNetwork:
        return self.embedder.network

    def weights(self) -> dict[str, Tensor]:
        """Those to evaluate and to keep: their moving average, where there is one."""
        return self.average.state if self.average else self.network.state_dict()

    def contents(self) -> Contents:
        return {
            "step": self.step,
            "seconds": self.seconds,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "softmax": self.softmax.state_dict() if self.softmax else None,
            "average": self.average.contents() if self.average else None,
        }

    def restore(self, kept: Contents) -> None:
        """Go on as if there had been no interruption."""
        self.network.load_state_dict(kept["network"])
        self.optimiser.load_state_dict(kept["optimiser"])
        self.scaler.load_state_dict(kept["scaler"])
        if self.softmax:
            self.softmax.load_state_dict(kept["softmax"])
        if self.average:
            self.average.restore(**kept["average"])
        self.step, self.seconds = kept["step"], kept["seconds"]

    def _objective(self, batch: Batch) -> Objective:
        if self.softmax and self.step < self.pretraining:
            return self.softmax
        random = torch_generator(self.seed, Stream.MINING, self.step)
        return LOSSES[self.loss.kind].objective(self.loss.miner, self.loss.margin, random, batch.triplets)

    def _anchoring(self, embeddings: Tensor, batch: Batch) -> Tensor:
        if self.targets is None:
            return embeddings.new_zeros(())
        return losses.distillation_losses(embeddings, self.targets[batch.faces].to(embeddings.device)).mean()

    def _finite(self, loss: Tensor) -> Tensor:
        if not math.isfinite(loss.item()):
            raise Diverged(f"the loss is {loss.item()} at step {self.step}: lower optimiser.learning_rate")
        return loss

    def _descend(self, rate: float) -> float:
        """The gradient's norm before clipping."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.scaler.unscale_(self.optimiser)
        if self.softmax and self.softmax.centers.grad is not None:
            self.processes.mean(self.softmax.centers.grad)  # equal but for the last bits: so they stay together
        norm = float(clip_grad_norm_(self._parameters(), self.clip))
        if not (math.isfinite(norm) or self.scaler.is_enabled()):  # the scaler leaves such a step out
            raise Diverged(f"the gradient is {norm} at step {self.step}: lower optimiser.learning_rate")
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if self.average:
            self.average.update(self.network)
        self.step += 1
        return norm

    def _parameters(self) -> list[nn.Parameter]:
        return [*self.embedder.parameters(), *(self.softmax.parameters() if self.softmax else ())]


def learner(
    network: FaceNetwork,
    config: TrainConfig,
    targets: Tensor | None,
    *,
    people: int = 0,
    processes: Processes = ALONE,
) -> Learner:
    """A learner at step 0, with the optimiser of the config; `people` are those that ArcFace tells apart."""
    drop_before_head(network, config.network.dropout)
    embedder = _trainable(network, frozen=config.network.batch_norm == "frozen").to(processes.device)
    pretrained = config.pretraining.steps > 0
    arcface = partial(ArcFace, scale=config.pretraining.scale, margin=config.pretraining.margin)
    softmax = arcface(people, network.embedding_size).to(processes.device) if pretrained else None
    parameters = [*network.parameters(), *(softmax.parameters() if softmax else ())]
    return Learner(
        embedder=embedder,
        passes=_passes(embedder, config, processes),
        optimiser=optimiser(parameters, config.optimiser),
        scaler=GradScaler(processes.device.type, enabled=config.run.precision == "float16"),
        loss=config.loss,
        clip=config.optimiser.clip,
        seed=config.run.seed,
        targets=targets,
        softmax=softmax,
        pretraining=config.pretraining.steps,
        average=WeightAverage(network, config.optimiser.ema) if config.optimiser.ema else None,
        processes=processes,
    )


def _passes(embedder: Embedder, config: TrainConfig, processes: Processes) -> Passes:
    return Passes(
        embedder=embedder,
        model=processes.parallel(embedder),
        processes=processes,
        chunk=config.batch.chunk,
        precision=config.run.precision,
        seed=config.run.seed,
        coupled=faces_are_coupled(embedder) or config.network.dropout > 0,
    )


def _trainable(network: FaceNetwork, *, frozen: bool) -> Embedder:
    """In training mode; with `frozen`, BatchNorm keeps its statistics, and only its scale and shift are trained."""
    embedder = Embedder(network).train()
    for layer in network.modules():
        if frozen and isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.eval()
    return embedder
