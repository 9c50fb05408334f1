import pytest
import torch
from torch.nn import functional

from tests.unit.training.support import changed
from training.config.schema import TrainConfig
from training.data.loader import Batch
from training.engine.build_learner import build_learner
from training.engine.train_step import Learner
from training.networks.registry import build


@pytest.fixture
def batch() -> Batch:
    views = torch.randint(256, (6, 112, 112, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return Batch(views, faces=torch.tensor([3, 4, 5, 0, 1, 2]), labels=torch.tensor([0, 0, 1, 1, 2, 2]))


@pytest.fixture
def learner(config: TrainConfig) -> Learner:
    """A learner whose teacher gives each of six faces another axis."""
    torch.manual_seed(2)
    return build_learner(build("tiny", 8), config, torch.eye(8)[:6])


@pytest.mark.slow
def test_the_loss_is_that_of_the_triplets_plus_the_weighted_distillation(learner: Learner, batch: Batch) -> None:
    with torch.no_grad():
        distance = (
            (functional.normalize(learner.embedder(batch.views)) - torch.eye(8)[batch.faces]).square().sum(1).mean()
        )
    metrics = learner.train_step(batch, 0.01)
    assert learner.loss.distillation_weight == 2
    assert metrics.distillation == pytest.approx(distance.item(), rel=1e-4)
    assert metrics.loss == pytest.approx(metrics.objective + 2 * metrics.distillation, rel=1e-5)


def test_relations_are_weighted_and_count_among_all_faces(config: TrainConfig, batch: Batch) -> None:
    config = changed(config, "loss", kind="distillation", miner="none", relational_weight=10)
    learner = build_learner(build("tiny", 8), config, torch.eye(8)[:6])
    with torch.no_grad():
        cosines = (vectors := functional.normalize(learner.embedder(batch.views))) @ vectors.T
    metrics = learner.train_step(batch, 0.01)
    off_diagonal = ~torch.eye(6, dtype=torch.bool)
    assert metrics.relations == pytest.approx(cosines[off_diagonal].square().mean().item(), rel=1e-4)
    assert metrics.loss == pytest.approx(2 * metrics.distillation + 10 * metrics.relations, rel=1e-5)


def test_the_learning_rate_scales_the_step(learner: Learner, batch: Batch) -> None:
    before = learner.network.get_parameter("last.weight").detach().clone()
    learner.train_step(batch, 0.0)
    still = learner.network.get_parameter("last.weight").detach().clone()
    learner.train_step(batch, 0.01)
    assert torch.equal(before, still)
    assert not torch.equal(before, learner.network.get_parameter("last.weight"))


def test_the_gradient_is_clipped_to_its_largest_norm(learner: Learner, batch: Batch) -> None:
    learner.clip_norm = 1e-6
    before = [part.detach().clone() for part in learner.embedder.parameters()]
    metrics = learner.train_step(batch, 1.0)
    moved = sum(
        float((new.detach() - old).square().sum())
        for new, old in zip(learner.embedder.parameters(), before, strict=True)
    )
    assert metrics.grad_norm > 1e-3
    assert moved**0.5 == pytest.approx(1e-6, rel=0.1)


def test_a_step_fetches_all_its_measurements_from_the_device_at_once(
    learner: Learner, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[int] = []
    tolist = torch.Tensor.tolist

    def counted(numbers: torch.Tensor) -> object:
        fetched.append(len(numbers))
        return tolist(numbers)

    monkeypatch.setattr(torch.Tensor, "tolist", counted)
    for name in ("item", "__float__", "__int__"):
        monkeypatch.setattr(torch.Tensor, name, lambda _: pytest.fail("a number was fetched by itself"))
    learner.train_step(batch, 0.01)
    assert fetched == [9]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # in PyTorch's own compiler
def test_a_compiled_network_learns_the_same(config: TrainConfig, batch: Batch) -> None:
    steps = []
    for compiled in (False, True):
        torch.manual_seed(1)
        learner = build_learner(build("tiny", 8), changed(config, "run", compile=compiled), torch.eye(8)[:6])
        assert (learner.embedder._compiled_call_impl is not None) is compiled
        steps.append(([learner.train_step(batch, 0.01).loss for _ in range(3)], learner.network.state_dict()))
    (losses, state), (same_losses, same_state) = steps
    assert same_losses == pytest.approx(losses, rel=1e-4)
    torch.testing.assert_close(same_state, state, atol=1e-5, rtol=1e-4)


def test_a_checkpointed_network_learns_the_same_to_the_bit(config: TrainConfig, batch: Batch) -> None:
    config = changed(changed(config, "network", batch_norm="updated"), "batch", chunk_size=2)
    steps = []
    for checkpointed in (False, True):
        torch.manual_seed(1)
        network, settings = build("small_resnet", 8), changed(config, "run", gradient_checkpointing=checkpointed)
        learner = build_learner(network, settings, torch.eye(8)[:6])
        assert hasattr(network.get_submodule("blocks.0").forward, "keywords") is checkpointed
        steps.append(([learner.train_step(batch, 0.01).loss for _ in range(2)], learner.network.state_dict()))
    (losses, state), (same_losses, same_state) = steps
    assert same_losses == losses
    assert all(torch.equal(same_state[name], value) for name, value in state.items())
