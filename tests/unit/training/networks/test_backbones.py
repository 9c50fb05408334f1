"""Each backbone against its paper or published code: size, cost, parameter names, values, and the ONNX graph."""

import importlib.util
import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.export.onnx import check_parity, embedder_graph
from training.networks import cost
from training.networks.edgeface import LowRankLinear
from training.networks.embedder import Embedder, FaceNetwork
from training.networks.pocketnet import NORMAL, REDUCTION
from training.networks.registry import build, crop_size_of
from training.networks.timm_backbone import create
from training.networks.weights import load_state

State = dict[str, Tensor]
needs_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="the extra `timm` is not installed")
slow = pytest.mark.slow
ATTENTION = 12 * 2 * 144 * 144 * 256  # multiply-adds of ViT-tiny that have no weights
UNWEIGHTED = 2 * 5_131_136 + 8_580_096 + 1_185_408
"""PocketNet's published operations without weights: of BatchNorm (two a number), PReLU and pooling (nine)."""

PUBLISHED = [
    # name, size of vectors, parameters, multiply-adds, tolerance of the multiply-adds
    pytest.param("ir18", 512, 24.03e6, 2.6e9, 0.01),  # arcface_torch's table
    pytest.param("ir50", 512, 43.59e6, 6.3e9, 0.01),
    pytest.param("ir100", 512, 65.16e6, 24_211.77e6 / 2, 0.005),  # PocketNet, table 5
    pytest.param("ir_se50", 512, 43.80e6, 6.3e9, 0.01),
    pytest.param("pocketnet_s", 128, 925_632, (587.11e6 - UNWEIGHTED) / 2, 1e-4),  # PocketNet, table 5
    pytest.param("pocketnet_s", 256, 991_424, (587.24e6 - UNWEIGHTED) / 2, 1e-4),
    pytest.param("edgeface_xxs", 512, 1.24e6, 94.72e6 / 2, 0.005, marks=needs_timm),  # EdgeFace, table II
    pytest.param("edgeface_xs", 512, 1.77e6, 154.00e6 / 2, 0.005, marks=needs_timm),
    pytest.param("vit_tiny", 512, 19.14e6, 1.5e9 - ATTENTION, 0.01),  # arcface_torch's table
]


@slow
@pytest.mark.parametrize(("name", "size", "parameters", "multiply_adds", "tolerance"), PUBLISHED)
def test_a_backbone_is_as_large_and_costs_as_much_as_published(
    name: str, size: int, parameters: float, multiply_adds: float, tolerance: float
) -> None:
    with torch.device("meta"):
        network = build(name, size)
        rows = cost.table(network, 112)
        assert network.eval()(torch.zeros(2, 3, 112, 112)).shape == (2, size)
    assert crop_size_of(name) == 112
    assert sum(part.numel() for part in network.parameters()) == pytest.approx(parameters, rel=0.004)
    assert cost.total(rows)[1] == pytest.approx(multiply_adds, rel=tolerance)


def trained(name: str, size: int = 32) -> FaceNetwork:
    """Return a network whose BatchNorm has statistics that matter, and no parameter its initial value."""
    torch.manual_seed(2)
    network = build(name, size)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) and layer.running_mean is not None:
            assert layer.running_var is not None
            layer.running_mean.normal_(std=0.1)
            layer.running_var.uniform_(0.6, 1.4)
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm | nn.PReLU):
            nn.init.uniform_(layer.weight, 0.4, 0.9)
    return network.eval()


def norm(x: Tensor, state: State, name: str, eps: float = 1e-5) -> Tensor:
    statistics = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    return functional.batch_norm(x, *statistics, state[f"{name}.weight"], state[f"{name}.bias"], eps=eps)


def iresnet(x: Tensor, state: State) -> Tensor:
    """Compute arcface_torch's network from its state dict, without modules."""
    x = functional.prelu(
        norm(functional.conv2d(x, state["conv1.weight"], padding=1), state, "bn1"), state["prelu.weight"]
    )
    blocks = sorted(
        {match.groups() for key in state if (match := re.match(r"layer(\d)\.(\d+)\.", key))},
        key=lambda b: (int(b[0]), int(b[1])),
    )
    for stage, number in blocks:
        name, stride = f"layer{stage}.{number}", 1 if int(number) else 2
        y = functional.conv2d(norm(x, state, f"{name}.bn1"), state[f"{name}.conv1.weight"], padding=1)
        y = functional.prelu(norm(y, state, f"{name}.bn2"), state[f"{name}.prelu.weight"])
        y = norm(functional.conv2d(y, state[f"{name}.conv2.weight"], stride=stride, padding=1), state, f"{name}.bn3")
        if stride == 2:
            x = norm(
                functional.conv2d(x, state[f"{name}.downsample.0.weight"], stride=2), state, f"{name}.downsample.1"
            )
        x = x + y
    x = functional.linear(norm(x, state, "bn2").flatten(1), state["fc.weight"], state["fc.bias"])
    return norm(x, state, "features")


def ir_se50(x: Tensor, state: State) -> Tensor:
    x = norm(functional.conv2d(x, state["input_layer.0.weight"], padding=1), state, "input_layer.1")
    x = functional.prelu(x, state["input_layer.2.weight"])
    for block in range(24):
        name, stride = f"body.{block}.res_layer", 2 if block in (0, 3, 7, 21) else 1
        y = functional.conv2d(norm(x, state, f"{name}.0"), state[f"{name}.1.weight"], padding=1)
        y = functional.conv2d(
            functional.prelu(y, state[f"{name}.2.weight"]), state[f"{name}.3.weight"], stride=stride, padding=1
        )
        y = norm(y, state, f"{name}.4")
        squeezed = functional.conv2d(functional.adaptive_avg_pool2d(y, 1), state[f"{name}.5.fc1.weight"]).relu()
        y = y * functional.conv2d(squeezed, state[f"{name}.5.fc2.weight"]).sigmoid()
        short = f"body.{block}.shortcut_layer"
        if f"{short}.0.weight" in state:
            x = norm(functional.conv2d(x, state[f"{short}.0.weight"], stride=stride), state, f"{short}.1")
        else:
            x = x[:, :, ::stride, ::stride]
        x = x + y
    x = norm(x, state, "output_layer.0").flatten(1)
    return norm(
        functional.linear(x, state["output_layer.3.weight"], state["output_layer.3.bias"]), state, "output_layer.4"
    )


def separable(x: Tensor, state: State, name: str, stride: int = 1) -> Tensor:
    weight = state[f"{name}.net.1.weight"]
    x = functional.prelu(x, state[f"{name}.net.0.weight"])
    x = functional.conv2d(x, weight, stride=stride, padding=weight.shape[2] // 2, groups=len(weight))
    return norm(functional.conv2d(x, state[f"{name}.net.2.weight"]), state, f"{name}.net.3")


def halved(x: Tensor, state: State, name: str) -> Tensor:
    x = functional.prelu(x, state[f"{name}.relu.weight"])
    channels = x.shape[1]
    even, odd = (state[f"{name}.conv{n}1.weight"] for n in (1, 2))
    first = functional.conv2d(functional.conv2d(x, even, stride=2, groups=channels), state[f"{name}.conv12.weight"])
    second = functional.conv2d(
        functional.conv2d(x[..., 1:, 1:], odd, stride=2, groups=channels), state[f"{name}.conv22.weight"]
    )
    return norm(torch.cat([first, second], 1), state, f"{name}.bn")


def edge(x: Tensor, state: State, name: str, operation: str, stride: int) -> Tensor:
    if operation.startswith("dw"):
        return separable(x, state, name, stride)
    if operation == "max":
        return norm(functional.max_pool2d(x, 3, stride, 1), state, f"{name}.bn")
    return x if stride == 1 else halved(x, state, name)


def pocketnet(x: Tensor, state: State) -> Tensor:
    before = last = norm(functional.conv2d(x, state["stem.0.weight"], stride=2, padding=1), state, "stem.1")
    for cell in range(18):
        name, reduces = f"cells.{cell}", cell in (6, 12, 17)
        first = (
            halved(before, state, f"{name}.preproc0")
            if cell in (7, 13)
            else separable(before, state, f"{name}.preproc0")
        )
        states = [first, separable(last, state, f"{name}.preproc1")]
        for node, edges in enumerate(REDUCTION if reduces else NORMAL):
            each = [
                edge(states[index], state, f"{name}.dag.{node}.{n}", operation, 2 if reduces and index < 2 else 1)
                for n, (operation, index) in enumerate(edges)
            ]
            states.append(each[0] + each[1])
        before, last = last, torch.cat(states[2:], 1)
    x = functional.conv2d(functional.prelu(last, state["tail.0.weight"]), state["tail.1.weight"])
    x = functional.prelu(norm(x, state, "tail.2"), state["tail.3.weight"])
    x = norm(functional.conv2d(x, state["tail.4.weight"], groups=x.shape[1]), state, "tail.5")
    return norm(functional.conv2d(x, state["tail.6.weight"]), state, "tail.7").flatten(1)


def vit(x: Tensor, state: State) -> Tensor:
    def normed(x: Tensor, name: str) -> Tensor:
        return functional.layer_norm(x, (256,), state[f"{name}.weight"], state[f"{name}.bias"])

    x = functional.conv2d(x, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=9)
    x = x.flatten(2).transpose(1, 2) + state["pos_embed"]
    for block in range(12):
        name = f"blocks.{block}"
        queries, keys, values = functional.linear(normed(x, f"{name}.norm1"), state[f"{name}.attn.qkv.weight"]).chunk(
            3, 2
        )
        heads = []
        for head in range(8):
            own = slice(32 * head, 32 * head + 32)
            weights = (queries[..., own] @ keys[..., own].transpose(1, 2) / math.sqrt(32)).softmax(2)
            heads.append(weights @ values[..., own])
        x = x + functional.linear(
            torch.cat(heads, 2), state[f"{name}.attn.proj.weight"], state[f"{name}.attn.proj.bias"]
        )
        y = functional.linear(
            normed(x, f"{name}.norm2"), state[f"{name}.mlp.fc1.weight"], state[f"{name}.mlp.fc1.bias"]
        )
        x = x + functional.linear(y.clamp(0, 6), state[f"{name}.mlp.fc2.weight"], state[f"{name}.mlp.fc2.bias"])
    x = functional.linear(normed(x, "norm").flatten(1), state["feature.0.weight"])
    return norm(
        functional.linear(norm(x, state, "feature.1", 2e-5), state["feature.2.weight"]), state, "feature.3", 2e-5
    )


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("ir18", iresnet),
        pytest.param("ir50", iresnet, marks=slow),
        pytest.param("ir100", iresnet, marks=slow),
        pytest.param("ir_se50", ir_se50, marks=slow),
        ("pocketnet_s", pocketnet),
        ("vit_tiny", vit),
    ],
)
def test_a_backbone_computes_what_the_originals_parameter_names_say(
    name: str, reference: Callable[[Tensor, State], Tensor]
) -> None:
    network = trained(name)
    pixels = torch.randn(2, 3, 112, 112, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = reference(pixels, dict(network.state_dict()))
        assert expected.std() > 1e-3
        torch.testing.assert_close(network(pixels), expected, atol=1e-3 * float(expected.std()), rtol=1e-3)


@pytest.mark.slow
@needs_timm
def test_edgeface_is_edgenext_whose_linear_layers_are_products() -> None:
    torch.manual_seed(1)
    network, whole = build("edgeface_xs", 32).eval(), create("edgenext_x_small", 32).eval()
    model = network.model
    assert isinstance(model, nn.Module)
    state = model.state_dict()
    merged = {name: part for name, part in state.items() if "linear" not in name}
    for name in [name for name, layer in model.named_modules() if isinstance(layer, LowRankLinear)]:
        merged[f"{name}.weight"] = state[f"{name}.linear2.weight"] @ state[f"{name}.linear1.weight"]
        if f"{name}.linear2.bias" in state:
            merged[f"{name}.bias"] = state[f"{name}.linear2.bias"]
    whole.load_state_dict(merged)
    pixels = torch.randn(2, 3, 112, 112)
    with torch.inference_mode():
        torch.testing.assert_close(network(pixels), whole(pixels), atol=1e-5, rtol=1e-4)
    assert "model.head.fc.linear2.bias" in network.state_dict()


@pytest.mark.slow
def test_a_published_vit_loads_without_its_token_of_masked_patches(tmp_path: Path) -> None:
    state = {**trained("vit_tiny", 16).state_dict(), "mask_token": torch.zeros(1, 1, 256)}
    torch.save(state, tmp_path / "vit.pt")
    load_state(build("vit_tiny", 16), tmp_path / "vit.pt")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "ir18",
        pytest.param("ir50", marks=slow),
        pytest.param("ir100", marks=slow),
        pytest.param("ir_se50", marks=slow),
        pytest.param("pocketnet_s", marks=slow),
        pytest.param("vit_tiny", marks=slow),
        pytest.param("edgeface_xxs", marks=[slow, needs_timm]),
        pytest.param("edgeface_xs", marks=[slow, needs_timm]),
    ],
)
def test_a_backbone_is_exported_with_its_vectors(name: str) -> None:
    network = trained(name) if not name.startswith("edgeface") else build(name, 32)
    embedder = Embedder(network).eval()
    assert check_parity(embedder, embedder_graph(embedder)) <= 1e-5
