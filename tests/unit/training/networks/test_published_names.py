"""
State dicts with the names and shapes of the public code load.

The rules below are written from that code: insightface's recognition/arcface_torch/backbones/iresnet.py and vit.py
(vit_t), TreB1eN/InsightFace_Pytorch's model.py, fdbtrs/PocketNet's backbones and config (softmax_casia), and
otroshi/edgeface's backbones with timm's edgenext.py.
"""

import importlib.util
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from training.networks.registry import build
from training.networks.weights import load_state

Shapes = dict[str, tuple[int, ...]]
needs_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="the extra `timm` is not installed")
WIDTHS = (64, 64, 128, 256, 512)


def affine(name: str, *shape: int, bias: int = 0) -> Shapes:
    """Return a layer with a weight and, unless 0, a bias."""
    return {f"{name}.weight": shape} | ({f"{name}.bias": (bias,)} if bias else {})


def norm(name: str, channels: int) -> Shapes:
    statistics = {f"{name}.{each}": (channels,) for each in ("running_mean", "running_var")}
    return affine(name, channels, bias=channels) | statistics | {f"{name}.num_batches_tracked": ()}


def iresnet(*depths: int) -> Shapes:
    shapes = affine("conv1", 64, 3, 3, 3) | norm("bn1", 64) | affine("prelu", 64)
    for stage, ((before, width), depth) in enumerate(zip(pairwise(WIDTHS), depths, strict=True), start=1):
        for block in range(depth):
            name, inputs = f"layer{stage}.{block}", width if block else before
            shapes |= norm(f"{name}.bn1", inputs) | affine(f"{name}.conv1", width, inputs, 3, 3)
            shapes |= norm(f"{name}.bn2", width) | affine(f"{name}.prelu", width)
            shapes |= affine(f"{name}.conv2", width, width, 3, 3) | norm(f"{name}.bn3", width)
            if not block:
                shapes |= affine(f"{name}.downsample.0", width, inputs, 1, 1) | norm(f"{name}.downsample.1", width)
    return shapes | norm("bn2", 512) | affine("fc", 512, 512 * 49, bias=512) | norm("features", 512)


def ir_se(*depths: int) -> Shapes:
    shapes = affine("input_layer.0", 64, 3, 3, 3) | norm("input_layer.1", 64) | affine("input_layer.2", 64)
    blocks = [
        (width if n else before, width)
        for (before, width), d in zip(pairwise(WIDTHS), depths, strict=True)
        for n in range(d)
    ]
    for number, (inputs, width) in enumerate(blocks):
        name = f"body.{number}.res_layer"
        shapes |= norm(f"{name}.0", inputs) | affine(f"{name}.1", width, inputs, 3, 3) | affine(f"{name}.2", width)
        shapes |= affine(f"{name}.3", width, width, 3, 3) | norm(f"{name}.4", width)
        shapes |= affine(f"{name}.5.fc1", width // 16, width, 1, 1) | affine(f"{name}.5.fc2", width, width // 16, 1, 1)
        if inputs != width:
            short = f"body.{number}.shortcut_layer"
            shapes |= affine(f"{short}.0", width, inputs, 1, 1) | norm(f"{short}.1", width)
    return (
        shapes
        | norm("output_layer.0", 512)
        | affine("output_layer.3", 512, 512 * 49, bias=512)
        | norm("output_layer.4", 512)
    )


def separable(name: str, inputs: int, outputs: int, kernel: int) -> Shapes:
    shapes = affine(f"{name}.net.0", inputs) | affine(f"{name}.net.1", inputs, 1, kernel, kernel)
    return shapes | affine(f"{name}.net.2", outputs, inputs, 1, 1) | norm(f"{name}.net.3", outputs)


def factorized(name: str, inputs: int, outputs: int) -> Shapes:
    shapes = affine(f"{name}.relu", inputs) | norm(f"{name}.bn", outputs)
    for half in ("1", "2"):
        shapes |= affine(f"{name}.conv{half}1", inputs, 1, 1, 1) | affine(
            f"{name}.conv{half}2", outputs // 2, inputs, 1, 1
        )
    return shapes


NORMAL = ("dw3 0", "dw1 1"), ("dw3 2", "dw5 0"), ("dw3 3", "dw3 0"), ("dw3 4", "skip 0")
REDUCE = ("dw3 1", "dw7 0"), ("skip 2", "dw5 1"), ("max 0", "skip 2"), ("max 0", "max 1")


def pocketnet_s(size: int) -> Shapes:
    shapes = affine("stem.0", 64, 3, 3, 3) | norm("stem.1", 64)
    before, last, channels = 64, 64, 16
    for cell in range(18):
        reduces, name = cell in (6, 12, 17), f"cells.{cell}"
        channels *= 2 if reduces else 1
        first = f"{name}.preproc0"
        shapes |= factorized(first, before, channels) if cell in (7, 13) else separable(first, before, channels, 1)
        shapes |= separable(f"{name}.preproc1", last, channels, 1)
        for node, edges in enumerate(REDUCE if reduces else NORMAL):
            for number, (operation, state) in enumerate(edge.split() for edge in edges):
                edge = f"{name}.dag.{node}.{number}"
                if operation.startswith("dw"):
                    shapes |= separable(edge, channels, channels, int(operation[2:]))
                elif operation == "max":
                    shapes |= norm(f"{edge}.bn", channels)
                elif reduces and int(state) < 2:
                    shapes |= factorized(edge, channels, channels)
        before, last = last, 4 * channels
    shapes |= affine("tail.0", last) | affine("tail.1", 512, last, 1, 1) | norm("tail.2", 512) | affine("tail.3", 512)
    shapes |= affine("tail.4", 512, 1, 7, 7) | norm("tail.5", 512)
    return shapes | affine("tail.6", size, 512, 1, 1) | norm("tail.7", size)


def vit_t() -> Shapes:
    shapes: Shapes = {"mask_token": (1, 1, 256), "pos_embed": (1, 144, 256)}
    shapes |= affine("patch_embed.proj", 256, 3, 9, 9, bias=256) | affine("norm", 256, bias=256)
    for block in range(12):
        name = f"blocks.{block}"
        shapes |= affine(f"{name}.norm1", 256, bias=256) | affine(f"{name}.norm2", 256, bias=256)
        shapes |= affine(f"{name}.attn.qkv", 768, 256) | affine(f"{name}.attn.proj", 256, 256, bias=256)
        shapes |= affine(f"{name}.mlp.fc1", 1024, 256, bias=1024) | affine(f"{name}.mlp.fc2", 256, 1024, bias=256)
    shapes |= affine("feature.0", 256, 144 * 256) | norm("feature.1", 256)
    return shapes | affine("feature.2", 512, 256) | norm("feature.3", 512)


def linear(name: str, outputs: int, inputs: int, gamma: float) -> Shapes:
    """Return a linear layer; with gamma, two of a low rank."""
    if not gamma:
        return affine(name, outputs, inputs, bias=outputs)
    rank = max(2, int(min(inputs, outputs) * gamma))
    return affine(f"{name}.linear1", rank, inputs) | affine(f"{name}.linear2", outputs, rank, bias=outputs)


def attention(name: str, stage: int, width: int, gamma: float) -> Shapes:
    """Return what the last block of a stage has instead of its convolution."""
    part = -(-width // (2, 2, 3, 4)[stage])
    shapes = affine(f"{name}.norm_xca", width, bias=width) | {f"{name}.gamma_xca": (width,)}
    shapes |= linear(f"{name}.xca.qkv", 3 * width, width, gamma) | linear(f"{name}.xca.proj", width, width, gamma)
    shapes |= {f"{name}.xca.temperature": (4, 1, 1)}
    for conv in range(stage):
        shapes |= affine(f"{name}.convs.{conv}", part, 1, 3, 3, bias=part)
    position = f"{name}.pos_embd.token_projection"
    return shapes | (affine(position, width, 64, 1, 1, bias=width) if stage == 1 else {})


def edgeface(widths: tuple[int, ...], depths: tuple[int, ...], gamma: float = 0) -> Shapes:
    first, last = widths[0], widths[-1]
    shapes = affine("stem.0", first, 3, 4, 4, bias=first) | affine("stem.1", first, bias=first)
    for stage, (before, width, depth) in enumerate(zip((0, *widths), widths, depths, strict=False)):
        down, kernel = f"stages.{stage}.downsample", 3 + 2 * stage
        if stage:
            shapes |= affine(f"{down}.0", before, bias=before) | affine(f"{down}.1", width, before, 2, 2, bias=width)
        for block in range(depth):
            name = f"stages.{stage}.blocks.{block}"
            shapes |= affine(f"{name}.norm", width, bias=width) | {f"{name}.gamma": (width,)}
            shapes |= linear(f"{name}.mlp.fc1", 4 * width, width, gamma)
            shapes |= linear(f"{name}.mlp.fc2", width, 4 * width, gamma)
            if stage and block == depth - 1:
                shapes |= attention(name, stage, width, gamma)
            else:
                shapes |= affine(f"{name}.conv_dw", width, 1, kernel, kernel, bias=width)
    shapes |= affine("head.norm", last, bias=last) | linear("head.fc", 512, last, gamma)
    return {f"model.{name}": shape for name, shape in shapes.items()}


@pytest.mark.parametrize(
    ("name", "size", "shapes"),
    [
        ("ir18", 512, iresnet(2, 2, 2, 2)),
        ("ir50", 512, iresnet(3, 4, 14, 3)),
        ("ir100", 512, iresnet(3, 13, 30, 3)),
        ("ir_se50", 512, ir_se(3, 4, 14, 3)),
        ("pocketnet_s", 128, pocketnet_s(128)),
        ("pocketnet_s", 256, pocketnet_s(256)),
        ("vit_tiny", 512, vit_t()),
        pytest.param("edgeface_xxs", 512, edgeface((24, 48, 88, 168), (2, 2, 6, 2)), marks=needs_timm),
        pytest.param("edgeface_xs", 512, edgeface((32, 64, 100, 192), (3, 3, 9, 3), gamma=0.6), marks=needs_timm),
    ],
)
def test_a_file_with_the_names_and_shapes_of_the_public_code_loads(
    tmp_path: Path, name: str, size: int, shapes: Shapes
) -> None:
    number_of = {part: float(number) for number, part in enumerate(shapes, start=1)}
    torch.save({part: torch.tensor(number_of[part]).expand(shapes[part]) for part in shapes}, tmp_path / "published.pt")
    with torch.device("meta"):
        network = build(name, size)
    network = network.to_empty(device="cpu")
    load_state(network, tmp_path / "published.pt")
    loaded = network.state_dict()
    assert loaded.keys() == shapes.keys() - {"mask_token"}
    assert {part: float(value.flatten()[-1]) for part, value in loaded.items()} == {
        part: number_of[part] for part in loaded
    }
