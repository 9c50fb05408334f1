from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from training.networks import cost
from training.networks.embedder import Embedder, FaceNetwork, Views, views_of
from training.networks.registry import NETWORKS, UnknownNetwork, build, crop_size_of
from training.networks.weights import UnusableWeights, load_state

SHARED = Path(__file__).resolve().parents[5] / "shared" / "data"
WEIGHTS = SHARED / "weights" / "mobilefacenet_foamliu.pt"
with_weights = pytest.mark.skipif(not WEIGHTS.exists(), reason=f"the published weights are not at {WEIGHTS}")

PUBLISHED_PARAMETERS = 0.99e6  # Chen et al. 2018, table 2
PUBLISHED_MULTIPLY_ADDS = 221e6  # ibid.


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    state: dict[str, Tensor] = torch.load(WEIGHTS, map_location="cpu", weights_only=True)
    return state


def convolved(x: Tensor, state: dict[str, Tensor], conv: str, norm: str, **how: int) -> Tensor:
    x = functional.conv2d(x, state[f"{conv}.weight"], state.get(f"{conv}.bias"), **how)
    statistics = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
    return functional.batch_norm(x, *statistics, state[f"{norm}.weight"], state[f"{norm}.bias"])


def reference(x: Tensor, state: dict[str, Tensor]) -> Tensor:
    """Compute table 1 of the paper from the state dict, without modules."""
    x = convolved(x, state, "conv1.0", "conv1.1", stride=2, padding=1).clamp(0, 6)
    x = convolved(x, state, "dw_conv.depthwise", "dw_conv.bn1", padding=1, groups=64).relu()
    x = convolved(x, state, "dw_conv.pointwise", "dw_conv.bn2").relu()
    for block in range(15):
        name, stride = f"features.{block}.conv", 2 if block in (0, 5, 12) else 1
        y = convolved(x, state, f"{name}.0.0", f"{name}.0.1").clamp(0, 6)
        y = convolved(y, state, f"{name}.1.0", f"{name}.1.1", stride=stride, padding=1, groups=y.shape[1]).clamp(0, 6)
        y = convolved(y, state, f"{name}.2", f"{name}.3")
        x = y if block in (0, 5, 12) else x + y
    x = convolved(x, state, "conv2.0", "conv2.1").clamp(0, 6)
    x = convolved(x, state, "gdconv.depthwise", "gdconv.bn", groups=512)
    return convolved(x, state, "conv3", "bn").flatten(1)


def test_mobilefacenet_is_as_large_as_the_paper_says() -> None:
    network = build("mobilefacenet", 128)
    extra = 64 * 64  # weights of the 1 x 1 convolution after the second layer, which the paper does not have
    assert sum(part.numel() for part in network.parameters()) - extra == pytest.approx(PUBLISHED_PARAMETERS, rel=0.01)
    assert cost.total(cost.table(network, 112))[1] - extra * 56 * 56 == pytest.approx(
        PUBLISHED_MULTIPLY_ADDS, rel=0.001
    )


@pytest.mark.parametrize(
    ("name", "size", "millions", "multiply_adds_in_millions"),
    [("small_resnet", 112, 1.11, 38.6), ("small_resnet_bn", 112, 1.11, 38.6), ("small_resnet_bn_56", 56, 0.57, 10.6)],
)
def test_small_resnet_costs_as_much_as_documented(
    name: str, size: int, millions: float, multiply_adds_in_millions: float
) -> None:
    network = build(name, 96).eval()
    parameters, multiply_adds = cost.total(cost.table(build(name), size))
    assert network(torch.zeros(2, 3, size, size)).shape == (2, 96)
    assert parameters / 1e6 == pytest.approx(millions, abs=0.005)
    assert multiply_adds / 1e6 == pytest.approx(multiply_adds_in_millions, abs=0.05)


@with_weights
def test_mobilefacenet_has_the_307_tensors_of_the_published_weights(published: dict[str, Tensor]) -> None:
    ours = build("mobilefacenet", 128).state_dict()
    assert {name: part.shape for name, part in ours.items()} == {name: part.shape for name, part in published.items()}
    assert len(ours) == 307


@with_weights
def test_mobilefacenet_computes_what_its_weights_were_made_for(published: dict[str, Tensor]) -> None:
    network = build("mobilefacenet", 128).eval()
    load_state(network, WEIGHTS)
    pixels = torch.randn(2, 3, 112, 112, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(network(pixels), reference(pixels, published), atol=1e-4, rtol=1e-4)


def test_an_embedder_takes_bytes_and_gives_unit_vectors() -> None:
    crops = torch.randint(256, (3, 112, 112, 3), dtype=torch.uint8)
    vectors = Embedder(build("mobilefacenet", 64)).eval()(crops)
    assert vectors.shape == (3, 64)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))


def test_an_embedder_that_does_not_normalize_keeps_the_norms_of_the_network() -> None:
    network = build("mobilefacenet", 16).eval()
    crops = torch.randint(256, (2, 112, 112, 3), dtype=torch.uint8)
    vectors = Embedder(network, normalized=False)(crops)
    assert not torch.allclose(vectors.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(functional.normalize(vectors), Embedder(network)(crops))


def test_an_embedder_scales_pixels_as_the_network_was_trained() -> None:
    network = build("mobilefacenet", 16).eval()
    crops = torch.randint(256, (2, 112, 112, 3), dtype=torch.uint8)
    pixels = torch.stack(
        [(crops[..., c] / 255 - m) / s for c, m, s in ((0, 0.485, 0.229), (1, 0.456, 0.224), (2, 0.406, 0.225))], 1
    )
    torch.testing.assert_close(Embedder(network)(crops), functional.normalize(network(pixels)), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("name", "size"), [("mobilefacenet", 112), ("nn1", 220), ("nn3", 160)])
def test_the_size_of_crops_is_known_without_a_network(name: str, size: int) -> None:
    assert crop_size_of(name) == size


def test_the_views_are_the_image_its_middle_enlarged_and_both_mirrored() -> None:
    image = torch.rand(112, 112, 3).numpy()
    middle = np.asarray(cv2.resize(image[5:107, 5:107], (112, 112)))
    wanted = [image, middle, image[:, ::-1], middle[:, ::-1]]
    got = views_of(torch.from_numpy(image).permute(2, 0, 1)[None], "zoom")
    assert len(got) == 4
    for view, same in zip(got, wanted, strict=True):
        np.testing.assert_allclose(view[0].permute(1, 2, 0).numpy(), same, atol=1e-5)


@pytest.mark.parametrize("views", ["mirror", "zoom"])
def test_vectors_of_views_are_averaged(views: Views) -> None:
    network = build("small_resnet", 16).eval()
    crops = torch.randint(256, (3, 112, 112, 3), dtype=torch.uint8)
    embedder = Embedder(network, views=views)
    pixels = (crops.permute(0, 3, 1, 2).float() - embedder.mean) / embedder.std
    with torch.inference_mode():
        each = [functional.normalize(network(view)) for view in views_of(pixels, views)]
        torch.testing.assert_close(embedder(crops), functional.normalize(torch.stack(each).sum(0)))
        assert not torch.allclose(embedder(crops), each[0], atol=1e-3)


@pytest.mark.parametrize("name", ["nn3@96", "inception_resnet_v1@96", "nn2@112"])
def test_a_network_that_averages_over_positions_takes_any_size(name: str) -> None:
    network = build(name, 16).eval()
    assert network.crop_size == crop_size_of(name) == int(name[-3:].strip("@"))
    assert network(torch.zeros(1, 3, network.crop_size, network.crop_size)).shape == (1, 16)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("mobilefacenet@96", "expected no size, since this network takes only 112 px, got 'mobilefacenet@96'"),
        ("nn2@32", "expected NAME@SIZE with a size from 80 to 1024, got 'nn2@32'"),
        ("nn2@large", "expected NAME@SIZE with a size from 80 to 1024, got 'nn2@large'"),
    ],
)
def test_another_size_is_refused_by_name(name: str, complaint: str) -> None:
    with pytest.raises(UnknownNetwork, match=complaint):
        build(name)


class Identity(FaceNetwork):
    """Gives back the scaled pixels."""

    crop_size = 8

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.flatten(1)


def test_an_image_can_be_scaled_by_its_own_mean_and_deviation() -> None:
    network = Identity(8 * 8 * 3)
    network.per_image_scaling = True
    crops = torch.randint(256, (3, 8, 8, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    crops[2] = 77  # one colour
    got = Embedder(network)(crops)
    for vector, crop in zip(got[:2], crops[:2].numpy(), strict=True):
        scaled = (crop - crop.mean()) / max(crop.std(), 1 / np.sqrt(crop.size))  # tf.image.per_image_standardization
        expected = functional.normalize(torch.from_numpy(scaled).permute(2, 0, 1).flatten()[None].float())
        torch.testing.assert_close(vector[None], expected, atol=1e-6, rtol=1e-5)
    assert got[2].abs().max() == 0
    darker = (crops[:1].float() * 0.5).to(torch.uint8)
    assert (Embedder(network)(darker) - got[:1]).square().sum() < 1e-3


def test_an_unknown_network_is_refused_with_the_known_names() -> None:
    with pytest.raises(
        UnknownNetwork, match=f"expected a network among {', '.join(sorted(NETWORKS))} or timm:NAME, got 'resnet'"
    ):
        build("resnet")


def test_weights_of_another_network_are_refused_by_tensor_and_nothing_changes(tmp_path: Path) -> None:
    network = build("mobilefacenet", 16)
    before = {name: part.clone() for name, part in network.state_dict().items()}
    other = {**before, "conv3.weight": torch.zeros(8, 512, 1, 1), "classifier.weight": torch.zeros(1)}
    del other["bn.bias"]
    torch.save(other, tmp_path / "other.pt")
    with pytest.raises(UnusableWeights, match=r"other\.pt does not fit MobileFaceNet") as refused:
        load_state(network, tmp_path / "other.pt")
    assert "1 missing: bn.bias" in str(refused.value)
    assert "1 unexpected: classifier.weight" in str(refused.value)
    assert "1 of another shape: conv3.weight (expected (16, 512, 1, 1), got (8, 512, 1, 1))" in str(refused.value)
    assert all(torch.equal(part, before[name]) for name, part in network.state_dict().items())


def test_a_file_that_holds_no_weights_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "photo.pt").write_bytes(b"\xff\xd8\xff\xe0 no weights")
    torch.save([1, 2], tmp_path / "list.pt")
    for name, complaint in (("photo", "is not a PyTorch state dict"), ("list", "is not a state dict")):
        with pytest.raises(UnusableWeights, match=rf"{name}\.pt {complaint}"):
            load_state(build("mobilefacenet"), tmp_path / f"{name}.pt")
    with pytest.raises(UnusableWeights, match=r"no weights at .*nowhere\.pt"):
        load_state(build("mobilefacenet"), tmp_path / "nowhere.pt")
