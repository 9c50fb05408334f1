import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_metric_learning import losses, reducers
from torch.nn import functional

from training.losses.arcface import ArcFace


@given(seed=st.integers(0, 10_000), margin=st.floats(0, 1.4))
def test_arcface_is_equation_3_of_its_paper(seed: int, margin: float) -> None:
    torch.manual_seed(seed)
    softmax = ArcFace(4, 3, scale=8, margin=margin)
    vectors, people = functional.normalize(torch.randn(5, 3)), torch.randint(4, (5,))
    naive = []
    centers = functional.normalize(softmax.centers.detach())
    for vector, person in zip(vectors, people.tolist(), strict=True):
        angles = [math.acos(max(-1.0, min(1.0, float(vector @ centre)))) for centre in centers]
        own = angles[person] + margin
        wide = math.cos(own) if own <= math.pi else math.cos(angles[person]) - margin * math.sin(margin)
        others = sum(math.exp(8 * math.cos(angle)) for k, angle in enumerate(angles) if k != person)
        naive.append(-math.log(math.exp(8 * wide) / (math.exp(8 * wide) + others)))
    torch.testing.assert_close(softmax(vectors, people), torch.tensor(naive), atol=1e-3, rtol=1e-3)


def test_arcface_and_its_gradient_are_those_of_pytorch_metric_learning() -> None:
    torch.manual_seed(1)
    vectors, people = functional.normalize(torch.randn(32, 6)), torch.randint(8, (32,))
    ours, each = ArcFace(8, 6, scale=16, margin=0.4), reducers.DoNothingReducer()
    theirs = losses.ArcFaceLoss(8, 6, margin=math.degrees(0.4), scale=16, reducer=each)
    theirs.W.data = ours.centers.detach().T.clone()
    got, expected = ours(vectors, people), theirs(vectors, people)["loss"]["losses"]
    got.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours.centers.grad, theirs.W.grad.T, atol=1e-2, rtol=1e-3)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_gradient_is_finite_on_a_center_and_opposite_to_it(sign: int) -> None:
    softmax = ArcFace(2, 3, scale=32, margin=0.5)
    vectors = (sign * functional.normalize(softmax.centers[:1].detach())).requires_grad_()
    softmax(vectors, torch.tensor([0])).sum().backward()
    assert vectors.grad is not None
    assert bool(vectors.grad.isfinite().all())
