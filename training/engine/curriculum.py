"""The phases of a run: softmax pre-training, then mining in batches or offline mining in rounds."""

from collections.abc import Iterator

from training.config.schema import TrainConfig
from training.data.dataset import FaceSet
from training.data.loader import Batch, BatchLoader, Sampler
from training.data.samplers import FillingSampler, PeopleSampler
from training.engine.checkpoints import State
from training.engine.distributed import Processes
from training.engine.logging import OnMined
from training.engine.offline_mining import OfflineMining
from training.engine.train_step import Learner


class Curriculum:
    """Yields the batches of a run from the learner's step on. Raises TooFewPeople or TooFewFaces."""

    def __init__(self, config: TrainConfig, faces: FaceSet, learner: Learner, processes: Processes) -> None:
        pure_distillation = config.loss.kind == "distillation"
        faces = faces.one_person_per_face() if pure_distillation else faces
        self._config, self._faces, self._learner, self._processes = config, faces, learner, processes
        self._people = _sampler(config, faces)
        self._offline = OfflineMining(config, faces, processes) if config.offline_mining.every else None
        self.warning = None if pure_distillation else self._people.warning()

    def batches(self, on_mined: OnMined = lambda *_: None) -> Iterator[tuple[int, Batch]]:
        """
        Yield every remaining step with its batch; the caller must train on it before taking the next.

        `on_mined` is told of every pool of offline mining.
        """
        while self._learner.step < self._config.optimizer.steps:
            sampler, end = self._phase(on_mined)
            yield from self._loader(sampler).prefetch(self._learner.step, min(end, self._config.optimizer.steps))

    def state_dict(self) -> State:
        return self._offline.state_dict() if self._offline else {}

    def load_state_dict(self, state: State) -> None:
        if self._offline:
            self._offline.load_state_dict(state)

    def _phase(self, on_mined: OnMined) -> tuple[Sampler, int]:
        """Return the sampler of the current phase, and the step at which the phase ends."""
        config, step = self._config, self._learner.step
        if self._offline is None:
            return self._people, config.optimizer.steps
        if step < config.pretraining.steps:
            return self._people, config.pretraining.steps
        return self._offline.sampler(self._learner, on_mined), self._offline.end

    def _loader(self, sampler: Sampler) -> BatchLoader:
        return BatchLoader(
            self._faces,
            sampler,
            self._config.augmentation,
            self._config.run.seed,
            num_workers=self._config.run.num_workers,
            workers=self._config.run.workers,
            shard=self._processes.shard,
            pinned=self._processes.device.type == "cuda",
        )


def _sampler(config: TrainConfig, faces: FaceSet) -> PeopleSampler | FillingSampler:
    batch, seed = config.batch, config.run.seed
    if batch.fill == "people" and not config.offline_mining.every:
        return FillingSampler(faces.faces_of, batch.people * batch.faces, batch.faces, seed)
    return PeopleSampler(faces.faces_of, batch.people, batch.faces, seed)
