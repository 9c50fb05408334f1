"""Each margin softmax against other code: pytorch-metric-learning, or the paper's formula in NumPy, face by face."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pytorch_metric_learning import losses, reducers
from torch import Tensor
from torch.nn import functional

from training.losses.adaptive_softmax import AdaFace, CurricularFace, MagFace
from training.losses.margin_softmax import (
    ArcFace,
    CosFace,
    ElasticArcFace,
    ElasticCosFace,
    MarginSoftmax,
    SubCenterArcFace,
)
from training.losses.options import MultiSimilarityOptions, SoftmaxOptions
from training.losses.softmax_registry import SOFTMAX_LOSSES, build_softmax

PEOPLE, SIZE, FACES, SCALE = 5, 4, 7, 8.0
Array = NDArray[np.float64]


def batch(seed: int) -> tuple[Tensor, Tensor]:
    """Return vectors of several norms, in double precision, and their people."""
    torch.manual_seed(seed)
    return torch.randn(FACES, SIZE, dtype=torch.float64) * torch.linspace(0.3, 3, FACES)[:, None].double(), (
        torch.randint(PEOPLE, (FACES,))
    )


def naive(
    softmax: MarginSoftmax, vectors: Tensor, people: Tensor, logits: Callable[[int, int, Array], Array]
) -> list[float]:
    """Return each face's cross entropy of the logits that follow from (face, its person, cosines to all centers)."""
    centers, each = softmax.centers.detach().numpy(), []
    for face, person in enumerate(people.tolist()):
        vector = vectors[face].detach().numpy()
        cosines = np.array(
            [vector @ center / math.sqrt(vector @ vector) / math.sqrt(center @ center) for center in centers]
        )
        values = SCALE * logits(face, person, cosines)
        each.append(math.log(sum(math.exp(value) for value in values)) - values[person])
    return each


def arc(cosine: float, margin: float) -> float:
    angle = math.acos(cosine) + margin
    return math.cos(angle) if angle <= math.pi else cosine - margin * math.sin(margin)


def replaced(cosines: Array, person: int, value: float) -> Array:
    return np.array([value if k == person else cosine for k, cosine in enumerate(cosines)])


def agree(got: Tensor, expected: list[float]) -> None:
    np.testing.assert_allclose(got.detach().numpy(), expected, atol=2e-5, rtol=2e-6)


@given(seed=st.integers(0, 10_000), margin=st.floats(0, 1.4))
def test_arcface_is_equation_3_of_its_paper(seed: int, margin: float) -> None:
    vectors, people = batch(seed)
    softmax = ArcFace(PEOPLE, SIZE, scale=SCALE, margin=margin).double()
    expected = naive(softmax, vectors, people, lambda _, y, cosines: replaced(cosines, y, arc(cosines[y], margin)))
    agree(softmax(vectors, people), expected)


@given(seed=st.integers(0, 10_000), margin=st.floats(0, 1))
def test_cosface_is_equation_4_of_its_paper(seed: int, margin: float) -> None:
    vectors, people = batch(seed)
    softmax = CosFace(PEOPLE, SIZE, scale=SCALE, margin=margin).double()
    expected = naive(softmax, vectors, people, lambda _, y, cosines: replaced(cosines, y, cosines[y] - margin))
    agree(softmax(vectors, people), expected)


@given(seed=st.integers(0, 10_000), margin=st.floats(0, 1.4))
def test_of_the_sub_centers_the_nearest_counts(seed: int, margin: float) -> None:
    vectors, people = batch(seed)
    softmax = SubCenterArcFace(PEOPLE, SIZE, scale=SCALE, margin=margin, sub_centers=3).double()

    def logits(_: int, person: int, cosines: Array) -> Array:
        nearest = np.array([max(cosines[3 * k : 3 * k + 3]) for k in range(PEOPLE)])
        return replaced(nearest, person, arc(nearest[person], margin))

    agree(softmax(vectors, people), naive(softmax, vectors, people, logits))


@given(seed=st.integers(0, 10_000), sigma=st.floats(0, 0.2))
def test_elasticface_draws_the_margin_of_each_face(seed: int, sigma: float) -> None:
    vectors, people = batch(seed)
    drawn = torch.randn(FACES, 1, generator=torch.Generator().manual_seed(seed)).squeeze(1).tolist()
    margins = [0.4 + sigma * one for one in drawn]
    arcs = ElasticArcFace(PEOPLE, SIZE, scale=SCALE, margin=0.4, sigma=sigma).double()
    cosines = ElasticCosFace(PEOPLE, SIZE, scale=SCALE, margin=0.4, sigma=sigma).double()
    agree(
        arcs(vectors, people, torch.Generator().manual_seed(seed)),
        naive(arcs, vectors, people, lambda face, y, cos: replaced(cos, y, arc(cos[y], margins[face]))),
    )
    agree(
        cosines(vectors, people, torch.Generator().manual_seed(seed)),
        naive(cosines, vectors, people, lambda face, y, cos: replaced(cos, y, cos[y] - margins[face])),
    )


@given(seed=st.integers(0, 10_000), margin=st.floats(0, 1))
def test_curricularface_makes_negatives_beyond_the_margin_harder(seed: int, margin: float) -> None:
    vectors, people = batch(seed)
    softmax = CurricularFace(PEOPLE, SIZE, scale=SCALE, margin=margin, momentum=0.9).double()
    softmax.progress.fill_(0.3)
    cosines = functional.normalize(vectors) @ functional.normalize(softmax.centers).T
    own = [cosines[face, person].item() for face, person in enumerate(people.tolist())]
    progress = 0.9 * 0.3 + 0.1 * sum(own) / FACES

    def logits(_: int, person: int, cosines: Array) -> Array:
        positive = arc(cosines[person], margin)
        harder = [cosine * (progress + cosine) if cosine > positive else cosine for cosine in cosines]
        return replaced(np.array(harder), person, positive)

    agree(softmax(vectors, people), naive(softmax, vectors, people, logits))
    assert softmax.progress.item() == pytest.approx(progress)


@given(seed=st.integers(0, 10_000), margin=st.floats(0, 1))
def test_adaface_is_equations_9_to_11_of_its_paper(seed: int, margin: float) -> None:
    vectors, people = batch(seed)
    softmax = AdaFace(PEOPLE, SIZE, scale=SCALE, margin=margin, concentration=0.5, momentum=0.9).double()
    softmax.mean_norm.fill_(2)
    softmax.norm_deviation.fill_(0.7)
    norms = [math.sqrt(sum(value**2 for value in vector)) for vector in vectors.tolist()]
    mean = 0.9 * 2 + 0.1 * sum(norms) / FACES
    deviation = 0.9 * 0.7 + 0.1 * float(np.std(norms, ddof=1))

    def logits(face: int, person: int, cosines: Array) -> Array:
        quality = max(-1.0, min(1.0, 0.5 * (norms[face] - mean) / (deviation + 1e-3)))
        angle = max(1e-3, min(math.pi - 1e-3, math.acos(cosines[person]) - margin * quality))
        return replaced(cosines, person, math.cos(angle) - margin * quality - margin)

    agree(softmax(vectors, people), naive(softmax, vectors, people, logits))


@given(seed=st.integers(0, 10_000))
def test_magface_is_equation_3_of_its_paper(seed: int) -> None:
    vectors, people = batch(seed)
    softmax = MagFace(PEOPLE, SIZE, scale=SCALE, norms=(1, 3), margins=(0.3, 0.9), norm_weight=2).double()
    norms = [min(3.0, max(1.0, math.sqrt(sum(value**2 for value in vector)))) for vector in vectors.tolist()]

    def logits(face: int, person: int, cosines: Array) -> Array:
        return replaced(cosines, person, arc(cosines[person], (0.9 - 0.3) / (3 - 1) * (norms[face] - 1) + 0.3))

    terms = [2 * (1 / norm + norm / 3**2) for norm in norms]
    softmaxes = naive(softmax, vectors, people, logits)
    agree(softmax(vectors, people), [one + term for one, term in zip(softmaxes, terms, strict=True)])


def reference(kind: type[MarginSoftmax]) -> tuple[MarginSoftmax, torch.nn.Module]:
    each = reducers.DoNothingReducer()
    if kind is SubCenterArcFace:
        return SubCenterArcFace(8, 6, scale=16, margin=0.4, sub_centers=3), losses.SubCenterArcFaceLoss(
            num_classes=8, embedding_size=6, margin=math.degrees(0.4), scale=16, sub_centers=3, reducer=each
        )
    if kind is CosFace:
        return CosFace(8, 6, scale=16, margin=0.4), losses.CosFaceLoss(8, 6, margin=0.4, scale=16, reducer=each)
    return ArcFace(8, 6, scale=16, margin=0.4), losses.ArcFaceLoss(
        8, 6, margin=math.degrees(0.4), scale=16, reducer=each
    )


@pytest.mark.parametrize("kind", [ArcFace, CosFace, SubCenterArcFace])
def test_loss_and_gradient_are_those_of_pytorch_metric_learning(kind: type[MarginSoftmax]) -> None:
    torch.manual_seed(1)
    vectors, people = torch.randn(32, 6, requires_grad=True), torch.randint(8, (32,))
    same = vectors.detach().clone().requires_grad_()
    ours, theirs = reference(kind)
    assert isinstance(theirs.W, torch.nn.Parameter)
    theirs.W.data = ours.centers.detach().T.clone()
    got, expected = ours(vectors, people), theirs(same, people)["loss"]["losses"]
    got.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(vectors.grad, same.grad, atol=1e-3, rtol=1e-3)
    assert theirs.W.grad is not None
    torch.testing.assert_close(ours.centers.grad, theirs.W.grad.T, atol=1e-2, rtol=1e-3)


def twin(softmax: MarginSoftmax, other: MarginSoftmax) -> MarginSoftmax:
    """Give the other the same centers."""
    other.centers = softmax.centers
    return other


@pytest.mark.parametrize("name", sorted(SOFTMAX_LOSSES.keys() - {"curricularface", "magface", "sub-center-arcface"}))
def test_without_a_margin_it_is_the_softmax(name: str) -> None:
    vectors, people = batch(3)
    softmax = build_softmax(name, PEOPLE, SIZE, SoftmaxOptions(scale=SCALE, margin=0, sigma=0)).double()
    logits = SCALE * functional.normalize(vectors) @ functional.normalize(softmax.centers).T
    torch.testing.assert_close(
        softmax(vectors, people), functional.cross_entropy(logits, people, reduction="none"), atol=1e-6, rtol=0
    )


def test_without_a_margin_curricularface_magface_and_one_sub_center_are_the_softmax_too() -> None:
    vectors, people = batch(3)
    plain = CosFace(PEOPLE, SIZE, scale=SCALE, margin=0).double()
    magface = MagFace(PEOPLE, SIZE, scale=SCALE, norms=(1, 3), margins=(0, 0), norm_weight=0).double()
    single = SubCenterArcFace(PEOPLE, SIZE, scale=SCALE, margin=0, sub_centers=1).double()
    for softmax in (magface, single):
        torch.testing.assert_close(twin(plain, softmax)(vectors, people), plain(vectors, people), atol=1e-6, rtol=0)
    curricular = CurricularFace(PEOPLE, SIZE, scale=SCALE, margin=0, momentum=0.5).double()
    nearest = functional.normalize(vectors) @ functional.normalize(plain.centers).T
    easy = nearest.argmax(1)  # no other person is nearer, so no negative is hard
    torch.testing.assert_close(twin(plain, curricular)(vectors, easy), plain(vectors, easy), atol=1e-6, rtol=0)


def test_elasticface_without_deviation_is_arcface_and_cosface() -> None:
    vectors, people = batch(4)
    arcface, cosface = (kind(PEOPLE, SIZE, scale=SCALE, margin=0.4).double() for kind in (ArcFace, CosFace))
    arcs, cosines = (
        kind(PEOPLE, SIZE, scale=SCALE, margin=0.4, sigma=0).double() for kind in (ElasticArcFace, ElasticCosFace)
    )
    torch.testing.assert_close(twin(arcface, arcs)(vectors, people), arcface(vectors, people), atol=1e-6, rtol=0)
    torch.testing.assert_close(twin(cosface, cosines)(vectors, people), cosface(vectors, people), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("norm", "like"), [(2.0, CosFace), (1e-2, ArcFace)])
def test_adaface_is_cosface_at_the_mean_norm_and_arcface_at_small_ones(norm: float, like: type[MarginSoftmax]) -> None:
    vectors, people = batch(5)
    vectors = norm * functional.normalize(vectors)
    other = like(PEOPLE, SIZE, scale=SCALE, margin=0.4).double()
    adaface = AdaFace(PEOPLE, SIZE, scale=SCALE, margin=0.4, concentration=1, momentum=1).double()
    adaface.mean_norm.fill_(2)
    adaface.norm_deviation.fill_(0.5)
    torch.testing.assert_close(twin(other, adaface)(vectors, people), other(vectors, people), atol=1e-6, rtol=0)


def build_for_gradients(name: str) -> MarginSoftmax:
    """Build with moving averages that stand still, so that two calls give the same loss."""
    options = SoftmaxOptions(scale=SCALE, lower_norm=1, upper_norm=3)
    softmax = build_softmax(name, PEOPLE, SIZE, options).double()
    if isinstance(softmax, CurricularFace | AdaFace):
        softmax.momentum = 1
    return softmax


@pytest.mark.parametrize("name", sorted(SOFTMAX_LOSSES.keys() - {"adaface"}))
def test_the_gradient_is_that_of_finite_differences(name: str) -> None:
    vectors, people = batch(6)
    softmax = build_for_gradients(name)

    def loss(points: Tensor, centers: Tensor) -> Tensor:
        given = {"centers": centers}
        arguments = (points, people, torch.Generator().manual_seed(2))
        return torch.func.functional_call(softmax, given, arguments)  # type: ignore[no-any-return]

    assert torch.autograd.gradcheck(loss, (vectors.requires_grad_(), softmax.centers))


def test_no_gradient_goes_through_the_norms_of_adaface() -> None:
    vectors, people = batch(6)
    softmax = build_for_gradients("adaface")
    assert isinstance(softmax, AdaFace)
    softmax.mean_norm.fill_(2)
    softmax.norm_deviation.fill_(0.5)
    softmax(vectors.requires_grad_(), people).sum().backward()
    assert vectors.grad is not None
    along = (vectors.grad * vectors).sum(1)  # the change of the loss with the length of each vector
    torch.testing.assert_close(along, torch.zeros_like(along), atol=1e-12, rtol=0)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", SOFTMAX_LOSSES)
def test_the_gradient_is_finite_on_a_center_and_opposite_to_it(name: str, sign: int) -> None:
    softmax = build_softmax(name, 2, 3, SoftmaxOptions())
    vectors = (sign * functional.normalize(softmax.centers[:1].detach()).repeat(2, 1)).requires_grad_()
    softmax(vectors, torch.tensor([0, 0])).sum().backward()
    assert vectors.grad is not None
    assert bool(vectors.grad.isfinite().all())


def test_the_defaults_are_those_of_the_authors_code() -> None:
    """Compare with AdaFace's head.py and config.py, MagFace's run.sh and ElasticFace's config.py, as published."""
    options = SoftmaxOptions()
    assert (options.scale, options.sub_centers, options.sigma, options.concentration) == (64, 3, 0.05, 0.333)
    assert options.momentum == 1 - 0.01  # t_alpha, and CurricularFace's share of the new value
    assert (options.lower_norm, options.upper_norm, options.lower_margin, options.upper_margin) == (10, 110, 0.45, 0.8)
    assert options.norm_weight == 35
    adaface = build_softmax("adaface", 2, 3, options)
    assert isinstance(adaface, AdaFace)
    assert (adaface.mean_norm.item(), adaface.norm_deviation.item(), adaface.margin) == (20, 100, 0.4)
    pairs, reference = MultiSimilarityOptions(), losses.MultiSimilarityLoss()
    assert (pairs.alpha, pairs.beta, pairs.base) == (reference.alpha, reference.beta, reference.base)
