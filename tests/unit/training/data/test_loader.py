import numpy as np
import pytest
import torch
from torch import Tensor

from training.config.augmentation import AugmentationConfig
from training.config.schema import TrainConfig
from training.data.augmentation import augment
from training.data.dataset import FaceSet, read_crop
from training.data.loader import BatchLoader
from training.data.samplers import PeopleSampler
from training.engine.build_learner import build_learner
from training.engine.curriculum import Curriculum
from training.engine.distributed import Processes
from training.networks.registry import build
from training.randomness import Stream, generator


def batches(faces: FaceSet) -> BatchLoader:
    return BatchLoader(faces, PeopleSampler(faces.faces_of, 3, 2, 1), AugmentationConfig(), 1)


def test_a_batch_is_the_sampled_faces_each_augmented_by_its_own_seed(faces: FaceSet) -> None:
    batch = batches(faces).batch(4)
    assert batch.views.shape == (6, 112, 112, 3)
    assert batch.views.dtype == torch.uint8
    assert batch.labels.tolist() == faces.labels[batch.faces.numpy()].tolist()
    expected = augment(
        read_crop(faces.paths[int(batch.faces[5])]), AugmentationConfig(), generator(1, Stream.VIEWS, 4, 5)
    )
    assert np.array_equal(batch.views[5].numpy(), expected)


def test_prefetched_batches_equal_those_made_on_demand(faces: FaceSet) -> None:
    source = batches(faces)
    ahead = list(source.prefetch(2, 6))
    assert [step for step, _ in ahead] == [2, 3, 4, 5]
    assert all(torch.equal(batch.views, source.batch(step).views) for step, batch in ahead)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_views_are_pinned_where_a_gpu_copies_them(
    config: TrainConfig, faces: FaceSet, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    made: list[bool] = []
    empty = torch.empty

    def recorded(*size: int, pin_memory: bool, dtype: torch.dtype) -> Tensor:
        made.append(pin_memory)
        return empty(*size, dtype=dtype)  # pinned memory needs a GPU

    learner = build_learner(build("tiny", 8), config, torch.zeros(len(faces), 8))
    curriculum = Curriculum(config, faces, learner, Processes(device=torch.device(device)))
    monkeypatch.setattr(torch, "empty", recorded)
    next(curriculum.batches())
    assert made == [device == "cuda"]


def test_no_batch_is_made_where_none_is_left(faces: FaceSet) -> None:
    assert list(batches(faces).prefetch(6, 6)) == []
