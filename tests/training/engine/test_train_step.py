import pytest
import torch

from training.config.schema import TrainConfig
from training.data.loader import Batch
from training.engine.train_step import Learner, learner
from training.networks.registry import build


@pytest.fixture
def batch() -> Batch:
    views = torch.randint(256, (6, 112, 112, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return Batch(views, faces=torch.tensor([3, 4, 5, 0, 1, 2]), people=torch.tensor([0, 0, 1, 1, 2, 2]))


@pytest.fixture
def learning(config: TrainConfig) -> Learner:
    """With a teacher that sees each of six faces along an axis of its own."""
    torch.manual_seed(2)
    return learner(build("tiny", 8), config, torch.eye(8)[:6])


def test_the_loss_is_that_of_the_triplets_plus_the_weighted_anchoring(learning: Learner, batch: Batch) -> None:
    with torch.no_grad():
        distance = (learning.embedder(batch.views) - torch.eye(8)[batch.faces]).square().sum(1).mean()

    measures = learning.learn(batch, 0.01)

    assert learning.loss.anchoring == 2
    assert measures.anchoring == pytest.approx(distance.item(), rel=1e-4)
    assert measures.loss == pytest.approx(measures.objective + 2 * measures.anchoring, rel=1e-5)


def test_a_step_is_as_long_as_its_rate(learning: Learner, batch: Batch) -> None:
    before = learning.embedder.network.last.weight.detach().clone()
    learning.learn(batch, 0.0)
    still = learning.embedder.network.last.weight.detach().clone()
    learning.learn(batch, 0.01)

    assert torch.equal(before, still)
    assert not torch.equal(before, learning.embedder.network.last.weight)


def test_the_gradient_is_clipped_to_its_largest_norm(learning: Learner, batch: Batch) -> None:
    learning.clip = 1e-6
    before = [part.detach().clone() for part in learning.embedder.parameters()]

    measures = learning.learn(batch, 1.0)

    moved = sum(
        float((new.detach() - old).square().sum())
        for new, old in zip(learning.embedder.parameters(), before, strict=True)
    )
    assert measures.gradient > 1e-3
    assert moved**0.5 == pytest.approx(1e-6, rel=0.1)


def test_each_step_is_counted(learning: Learner, batch: Batch) -> None:
    learning.learn(batch, 0.01)
    learning.learn(batch, 0.01)

    assert learning.step == 2
    assert learning.seconds > 0
