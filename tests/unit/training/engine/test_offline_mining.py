from pathlib import Path

import pytest
import torch

from tests.unit.training.support import changed
from training.config.schema import TrainConfig
from training.data.dataset import FaceSet
from training.engine import offline_mining, trainer
from training.engine.curriculum import Curriculum
from training.engine.distributed import Processes
from training.engine.offline_mining import NoTripletsMined, OfflineMining
from training.engine.train_step import Learner, build_learner
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
