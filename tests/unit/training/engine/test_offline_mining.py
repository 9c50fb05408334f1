import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from tests.unit.training.support import WriteCrop, changed
from training.config.schema import TrainConfig
from training.data.dataset import FaceSet, read_faces
from training.engine import offline_mining, trainer
from training.engine.build_learner import build_learner
from training.engine.curriculum import Curriculum
from training.engine.distributed import Processes
from training.engine.logging import MinedPool
from training.engine.offline_mining import NoTripletsMined, OfflineMining
from training.engine.train_step import Learner
from training.engine.validation import embed_crops
from training.losses.functional import squared_l2
from training.miners.triplets import batch_hard
from training.networks.registry import build


@pytest.fixture
def mining(config: TrainConfig) -> TrainConfig:
    """A config that mines triplets of all 18 faces every three steps."""
    return changed(changed(config, "offline_mining", every=3, people=6, faces=3), "loss", distillation_weight=0)


def started(config: TrainConfig) -> Learner:
    return build_learner(build("tiny", 8), config, None)


def test_the_pool_is_mined_with_the_current_network(mining: TrainConfig, faces: FaceSet) -> None:
    learner = started(mining)
    found = OfflineMining(mining, faces, Processes()).sampler(learner).mined
    vectors = embed_crops(learner.network, learner.weights(), faces.paths)
    triplets = batch_hard(squared_l2(vectors), torch.from_numpy(faces.labels))
    expected = torch.stack([triplets.anchors, triplets.positives, triplets.negatives], 1)
    assert found.tolist() == expected.tolist()


def test_a_pool_is_used_until_its_round_ends(mining: TrainConfig, faces: FaceSet) -> None:
    learner, pool = started(mining), OfflineMining(mining, faces, Processes())
    turns = []
    for step in range(7):
        learner.step = step
        with torch.no_grad():
            weight = learner.network.get_parameter("last.weight")
            weight.add_(torch.randn_like(weight), alpha=0.3)
        mined = pool.sampler(learner).mined.tolist()
        turns.append((pool.end, mined))
    assert [end for end, _ in turns] == [3, 3, 3, 6, 6, 6, 9]
    assert turns[0] == turns[1] == turns[2]
    assert turns[3] == turns[5]
    assert turns[0][1] != turns[3][1]


def test_the_learner_trains_on_the_triplets_of_the_pool(mining: TrainConfig, faces: FaceSet) -> None:
    learner = started(mining)
    curriculum = Curriculum(mining, faces, learner, Processes())
    mined = set(map(tuple, OfflineMining(mining, faces, Processes()).sampler(learner).mined.tolist()))
    _, batch = next(curriculum.batches())
    assert batch.faces.shape == (6,)
    assert {tuple(one) for one in batch.faces.reshape(2, 3).tolist()} <= mined
    assert learner.train_step(batch, 0.01).mined == 2


def test_a_pool_used_once_is_replaced_as_soon_as_its_triplets_are_used(mining: TrainConfig, faces: FaceSet) -> None:
    config = changed(changed(mining, "offline_mining", used_once=True, every=100), "optimizer", steps=40)
    learner = started(config)
    rounds: list[tuple[int, MinedPool]] = []
    used: list[list[int]] = []
    for _, batch in Curriculum(config, faces, learner, Processes()).batches(lambda *mined: rounds.append(mined)):
        used += batch.faces.reshape(-1, 3).tolist()
        learner.train_step(batch, 0.01)
    starts = [step for step, _ in rounds]
    per_batch = 2  # triplets of a batch of 3 x 2 faces
    assert [step - before for before, step in pairwise(starts)] == [
        math.ceil(pool.triplets / per_batch) for _, pool in rounds[:-1]
    ]
    first = [tuple(one) for one in used[: rounds[0][1].triplets]]
    assert len(set(first)) == len(first)
    assert rounds[0][1].faces == 18
    assert rounds[0][1].pairs == 6 * 3 * 2
    assert "positive pairs in a pool of 18 faces" in str(rounds[0][1])


def test_a_pool_is_filled_up_by_further_people(write_crop: WriteCrop, mining: TrainConfig, people: Path) -> None:
    for person in range(4):
        write_crop(people / f"single{person}" / "1.png", seed=900 + person)
    faces = read_faces([people], minimum=1)
    config = changed(changed(mining, "offline_mining", people=6, faces=3), "batch", fill="people")
    pools: list[MinedPool] = []
    OfflineMining(config, faces, Processes()).sampler(started(config), lambda _, pool: pools.append(pool))
    assert pools[0].faces == 18
    OfflineMining(changed(config, "offline_mining", people=99), faces, Processes()).sampler(
        started(config), lambda _, pool: pools.append(pool)
    )
    assert pools[1].faces == 22


def test_pre_training_comes_before_the_pool(mining: TrainConfig, faces: FaceSet) -> None:
    config = changed(mining, "pretraining", steps=4)
    learner = build_learner(build("tiny", 8), config, None, people=6)
    mined = []
    for step, batch in Curriculum(config, faces, learner, Processes()).batches():
        mined.append((step, batch.triplets is not None))
        learner.train_step(batch, 0.01)
    assert mined == [(0, False), (1, False), (2, False), (3, False), (4, True), (5, True)]


def test_a_pool_without_triplets_stops(mining: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        offline_mining.OfflineMining, "_mine", lambda *_: torch.empty((0, 3), dtype=torch.int64).numpy()
    )
    with pytest.raises(
        NoTripletsMined, match=r"no batch-hard triplet in the pool at step 0: raise offline_mining\.people"
    ):
        trainer.train(mining, tmp_path / "run", resume=False)
