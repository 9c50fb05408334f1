"""What is trained on when: ArcFace's batches first, then people's, or triplets mined offline turn by turn."""

from collections.abc import Iterator

from training.config.schema import TrainConfig
from training.data.dataset import FaceSet
from training.data.loader import Batch, Batches, Sampler
from training.data.samplers import PeopleSampler
from training.engine.checkpoints import Contents
from training.engine.distributed import Processes
from training.engine.offline_mining import OfflineMining
from training.engine.train_step import Learner


class Course:
    """Of one run, from the learner's step on. Raises TooFewPeople or TooFewFaces."""

    def __init__(self, config: TrainConfig, faces: FaceSet, learning: Learner, processes: Processes) -> None:
        self._config, self._faces, self._learning, self._processes = config, faces, learning, processes
        self._people = PeopleSampler(faces.faces_of, config.batch.people, config.batch.faces, config.run.seed)
        self._offline = OfflineMining(config, faces, processes) if config.offline.every else None
        self.complaint = self._people.complaint()

    def ahead(self) -> Iterator[tuple[int, Batch]]:
        """Every step that is left, with its batch; the learner must have done one before it asks for the next."""
        while self._learning.step < self._config.optimiser.steps:
            sampler, end = self._turn()
            yield from self._batches(sampler).ahead(self._learning.step, min(end, self._config.optimiser.steps))

    def contents(self) -> Contents:
        return self._offline.contents() if self._offline else {}

    def restore(self, kept: Contents) -> None:
        if self._offline:
            self._offline.restore(kept)

    def _turn(self) -> tuple[Sampler, int]:
        """Where the next batches come from, and the step at which that ends."""
        config, step = self._config, self._learning.step
        if self._offline is None:
            return self._people, config.optimiser.steps
        if step < config.pretraining.steps:
            return self._people, config.pretraining.steps
        return self._offline.sampler(self._learning), self._offline.end_of_turn(step)

    def _batches(self, sampler: Sampler) -> Batches:
        return Batches(
            self._faces,
            sampler,
            self._config.augmentation,
            self._config.run.seed,
            loaders=self._config.run.loaders,
            shard=self._processes.part,
        )
