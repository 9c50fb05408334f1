import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.unit.training.support import changed
from training.config.schema import TrainConfig
from training.data.loader import Batch
from training.engine.build_learner import build_learner
from training.engine.train_step import Learner
from training.miners.triplets import TRIPLET_MINERS, Triplets
from training.networks.registry import build

PEOPLE = torch.arange(5).repeat_interleave(4)


@pytest.fixture
def batch() -> Batch:
    """Twenty views of five people."""
    random = torch.Generator().manual_seed(1)
    views = torch.randint(256, (20, 112, 112, 3), dtype=torch.uint8, generator=random)
    return Batch(views, faces=torch.arange(20), labels=PEOPLE)


def learning(config: TrainConfig, chunk: int, **network: object) -> Learner:
    torch.manual_seed(2)
    config = changed(changed(config, "batch", chunk_size=chunk, people=5, faces=4), "network", **network)
    return build_learner(build("tiny", 8), config, None)


def gradients(learner: Learner, batch: Batch) -> dict[str, Tensor]:
    learner.clip_norm = 1e9
    learner.train_step(batch, 0.01)
    return {name: value.grad.clone() for name, value in learner.network.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("miner", ["semi-hard", "batch-hard", "violating"])
@pytest.mark.parametrize("chunk", [1, 3, 8, 19])
def test_chunks_give_the_gradient_of_one_big_batch(config: TrainConfig, batch: Batch, chunk: int, miner: str) -> None:
    config = changed(config, "loss", distillation_weight=0, miner=miner)
    whole, chunks = gradients(learning(config, 0), batch), gradients(learning(config, chunk), batch)
    assert max(float(value.abs().max()) for value in whole.values()) > 0.01
    for name, value in whole.items():
        torch.testing.assert_close(chunks[name], value, atol=1e-5, rtol=1e-4)


def test_only_mined_faces_are_embedded_again(
    config: TrainConfig, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    mined = torch.tensor([0, 5])
    once = learning(changed(config, "loss", distillation_weight=0), 3)
    sizes: list[int] = []
    once.embedder.network.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    monkeypatch.setitem(TRIPLET_MINERS, "batch-hard", lambda *_: lambda *_: triplet(mined))
    once.train_step(batch, 0.01)
    assert sizes == [3] * 6 + [2] + [3]


def triplet(anchors: Tensor) -> Triplets:
    return Triplets(anchors[:1], anchors[:1] + 1, anchors[1:])


def test_without_an_active_triplet_a_step_changes_nothing(config: TrainConfig, batch: Batch) -> None:
    still = learning(changed(config, "loss", distillation_weight=0, miner="semi-hard", margin=1e-9), 3)
    before = still.network.get_parameter("last.weight").detach().clone()
    metrics = still.train_step(batch, 0.1)
    assert metrics.mined == 0
    assert torch.equal(still.network.get_parameter("last.weight"), before)


def test_batch_norm_counts_each_face_once_though_it_goes_through_twice(config: TrainConfig, batch: Batch) -> None:
    twice = learning(changed(config, "loss", distillation_weight=0), 10, batch_norm="updated")
    twice.train_step(batch, 0.01)
    assert int(twice.network.get_buffer("bn.num_batches_tracked")) == 2


def test_dropout_is_the_same_in_both_passes_and_another_in_each_step(config: TrainConfig, batch: Batch) -> None:
    drops = learning(changed(config, "loss", distillation_weight=0), 10, dropout=0.5)
    first, again, later = (drops.grad_cache.embed(batch.views, step) for step in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, later)
    assert not torch.equal(first, drops.embedder.eval()(batch.views))


def test_half_precision_embeds_nearly_the_same(config: TrainConfig, batch: Batch) -> None:
    exact, half = (learning(changed(config, "run", precision=name), 0) for name in ("float32", "bfloat16"))
    vectors, rounded = (one.grad_cache.embed(batch.views, 0) for one in (exact, half))
    assert rounded.dtype == torch.float32
    difference = functional.normalize(vectors) - functional.normalize(rounded)
    assert 0 < float(difference.detach().norm(dim=1).max()) < 0.05
