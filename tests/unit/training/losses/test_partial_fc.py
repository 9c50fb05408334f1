"""Partial FC beside the full softmax: without sampling, with sampling, and over two processes."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from training.engine.distributed import Processes
from training.losses.margin_softmax import MarginSoftmax
from training.losses.options import SoftmaxOptions
from training.losses.partial_fc import PartialFC, people_of
from training.losses.softmax_registry import SOFTMAX_LOSSES, build_softmax

PEOPLE, SIZE, FACES, STEP = 2500, 8, 12, 3
REPOSITORY = Path(__file__).resolve().parents[4]


def batch() -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    vectors = 12 * torch.randn(FACES, SIZE, dtype=torch.float64, generator=random)
    return vectors.requires_grad_(), torch.randint(PEOPLE, (FACES,), generator=random)


def partial(name: str, share: float, group: Processes | None = None) -> PartialFC:
    group = group or Processes()
    softmax = build_softmax(name, len(people_of(PEOPLE, group)), SIZE, SoftmaxOptions(scale=16)).double()
    return PartialFC(softmax, PEOPLE, share=share, seed=5, group=group)


def gradients(softmax: MarginSoftmax | PartialFC, people: Tensor | None = None) -> list[Tensor]:
    """Return the losses, and the gradients of vectors and centers, of a weighted sum of the losses."""
    vectors, drawn = batch()
    random = torch.Generator().manual_seed(7)
    people = drawn if people is None else people
    losses = (
        softmax(vectors, people, random, STEP) if isinstance(softmax, PartialFC) else softmax(vectors, people, random)
    )
    (losses * torch.linspace(1, 2, FACES)).sum().backward()
    assert vectors.grad is not None
    assert softmax.centers.grad is not None
    return [losses.detach(), vectors.grad, softmax.centers.grad]


def full(name: str, centers: Tensor, people: int = PEOPLE) -> MarginSoftmax:
    softmax = build_softmax(name, people, SIZE, SoftmaxOptions(scale=16)).double()
    softmax.centers.data = centers.detach().clone()
    return softmax


@pytest.mark.parametrize("name", SOFTMAX_LOSSES)
def test_with_all_people_it_is_the_full_softmax_and_so_are_its_gradients(name: str) -> None:
    softmax = partial(name, 1)
    for one, other in zip(gradients(softmax), gradients(full(name, softmax.centers)), strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("name", SOFTMAX_LOSSES)
def test_with_a_share_of_the_people_it_is_the_softmax_over_them(name: str) -> None:
    softmax = partial(name, 0.1)
    _, people = batch()
    chosen = softmax._chosen(people, STEP)
    assert len(chosen) == 250
    assert set(people.tolist()) <= set(chosen.tolist())
    assert not torch.equal(softmax._chosen(people, STEP + 1), chosen)
    each = softmax.softmax.centers_each
    rows = (chosen[:, None] * each + torch.arange(each)).flatten()
    small = gradients(full(name, softmax.centers[rows], len(chosen)), torch.searchsorted(chosen, people))
    losses, of_vectors, of_centers = gradients(softmax)
    torch.testing.assert_close([losses, of_vectors, of_centers[rows]], small, atol=1e-12, rtol=1e-10)
    rest = torch.ones(len(of_centers), dtype=torch.bool)
    rest[rows] = False
    assert of_centers[rest].abs().max() == 0


def test_everyone_of_the_batch_takes_part_even_beyond_the_share() -> None:
    assert partial("arcface", 1e-4)._chosen(torch.tensor([9, 4, 9, 2000]), 0).tolist() == [4, 9, 2000]


def test_the_people_of_each_process_are_everybody_once() -> None:
    parts = [people_of(10, Processes(rank, 3)) for rank in range(3)]
    assert [number for part in parts for number in part] == list(range(10))
    halves = [partial("cosface", 1, Processes(rank, 2)).centers for rank in range(2)]
    assert torch.equal(torch.cat([*halves]), partial("cosface", 1).centers)


PROGRAM = """
import sys, torch
from torch import distributed
from tests.unit.training.losses.test_partial_fc import gradients, partial
from training.engine.distributed import Processes
from training.losses.softmax_registry import SOFTMAX_LOSSES
distributed.init_process_group("gloo")
group = Processes(distributed.get_rank(), 2)
torch.save({name: gradients(partial(name, 1, group)) for name in SOFTMAX_LOSSES}, f"{sys.argv[1]}/{group.rank}.pt")
distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_have_the_losses_and_gradients_of_one(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, str(tmp_path / "program.py"), str(tmp_path)]
    environment = {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    both = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for name in SOFTMAX_LOSSES:
        losses, of_vectors, of_centers = gradients(partial(name, 1))
        for each in both:
            torch.testing.assert_close(each[name][:2], [losses, of_vectors], atol=1e-12, rtol=1e-10)
        joined = torch.cat([each[name][2] for each in both])
        torch.testing.assert_close(joined, of_centers, atol=1e-12, rtol=1e-10)


def test_the_mean_is_at_chance_for_vectors_that_say_nothing() -> None:
    softmax = partial("cosface", 1)
    softmax.softmax.margin = 0
    vectors, people = torch.zeros(FACES, SIZE, dtype=torch.float64), batch()[1]
    expected = functional.cross_entropy(torch.zeros(FACES, PEOPLE), people)
    assert softmax(vectors, people).mean().item() == pytest.approx(expected.item(), rel=1e-6)
