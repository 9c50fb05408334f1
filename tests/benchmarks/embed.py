"""Embedders in fp32: against the fastest matrix product of the same ONNX Runtime, and against torch eager."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from app.domain.faces import AlignedCrop
from app.inference.embedder import OnnxEmbedder
from app.inference.manifest import read_checked, read_embedder
from app.inference.onnx_session import Session
from tests.benchmarks.cores import one_core
from tests.benchmarks.detect import MODELS
from tests.benchmarks.measure import Contestant, Effort, Laps, race, ratio
from tests.benchmarks.report import SHARE, Row, at_least, versus
from tests.support.networks import manifest_of
from training.export.onnx import check_parity, embedder_graph
from training.networks import cost
from training.networks.embedder import Embedder, FaceNetwork, Views
from training.networks.mobilefacenet import MobileFaceNet
from training.networks.registry import build

BATCHES = (1, 8)
SIDES = (256, 512, 1024)
"""Sides of the matrices; the fastest product of the run is the peak."""
PEAK_SHARE, SPEEDUP, EIGHT_BIT_SPEEDUP = 0.85, 4.0, 1.8
PEAK_NOTE = (
    "two operations a multiply-add of convolutions and linear layers; nothing else is counted. The peak is "
    f"the fastest product of two square matrices of side {', '.join(map(str, SIDES))}."
)
TORCH_NOTE = (
    "random weights, exported by training/export/onnx.py, equal to torch's vectors to 1e-5. torch eager "
    "is as it comes; channels_last is the memory layout that training uses."
)


def rows(effort: Effort) -> Iterator[Row]:
    with one_core():
        for batch in BATCHES:
            yield against_peak(batch, effort)
        for batch in BATCHES:
            yield from against_torch(batch, effort)
        for folder in sorted(MODELS.glob("*-int8")):
            yield eight_bits(folder.name, folder.name.removesuffix("-int8"), effort)


def exported(name: str, dimension: int, *, views: Views) -> tuple[Embedder, OnnxEmbedder]:
    """Return a network with random weights, in torch and as it is served; both give the same vectors."""
    torch.manual_seed(0)
    embedder = Embedder(_settled(build(name, dimension)), views=views).eval()
    graph = embedder_graph(embedder)
    check_parity(embedder, graph)
    manifest = manifest_of(graph, embedder.network.crop_size, dimension)
    return embedder, OnnxEmbedder(Session(graph, provider="cpu"), manifest)


def _settled(network: FaceNetwork) -> FaceNetwork:
    """BatchNorm statistics of random pictures: with fresh ones, what is inside would grow or vanish layer by layer."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.momentum = None  # the plain average
    with torch.no_grad():
        network.train()(torch.randn(4, 3, network.crop_size, network.crop_size))
    return network.eval()


def crops(batch: int, size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), np.uint8)


def aligned(pixels: np.ndarray) -> list[AlignedCrop]:
    return [AlignedCrop(each, 1.0) for each in pixels]


def against_peak(batch: int, effort: Effort) -> Row:
    embedder, served = exported("inception_resnet_v1", 512, views="crop")
    given = aligned(crops(batch, embedder.network.crop_size))
    products = {f"ONNX Runtime MatMul {side}": side for side in SIDES}
    contestants = {name: Contestant(multiplying(side)) for name, side in products.items()}
    laps = race({"ours": Contestant(partial(served.embed, given)), **contestants}, effort.pace)
    work = {"ours": batch * operations(embedder.network), **{name: 2 * side**3 for name, side in products.items()}}
    rates = {name: gigaflops(work[name], each) for name, each in laps.items()}
    peak = max(products, key=rates.__getitem__)
    return versus(
        "embed",
        f"Inception-ResNet-v1, fp32, batch {batch}",
        laps,
        peak,
        result=ratio(laps[peak].cpu, laps["ours"].cpu) * work["ours"] / work[peak],
        unit=SHARE,
        means=f"of the peak ({rates['ours']:.0f} of {rates[peak]:.0f} GFLOP/s)",
        target=at_least(PEAK_SHARE),
        note=PEAK_NOTE,
    )


def multiplying(side: int) -> Callable[[], object]:
    product = Session(matrix_product(side), provider="cpu")
    return partial(product.run, np.random.default_rng(0).standard_normal((side, side), np.float32))


def operations(network: FaceNetwork) -> int:
    """Floating-point operations for one face, counted without computing anything."""
    with torch.device("meta"):
        counted = type(network)(network.embedding_size)
    return 2 * cost.total(cost.table(counted, network.crop_size))[1]


def gigaflops(operations: int, laps: Laps) -> float:
    return float(np.median(operations / laps.cpu)) / 1e9


def matrix_product(side: int) -> bytes:
    """(side, side) times a constant matrix, which ONNX Runtime may arrange beforehand as it does with weights."""
    weights = np.random.default_rng(1).standard_normal((side, side), np.float32)
    given, product = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [side, side]) for name in ("a", "product"))
    node = helper.make_node("MatMul", ["a", "weights"], ["product"])
    graph = helper.make_graph([node], "product", [given], [product], [numpy_helper.from_array(weights, "weights")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def against_torch(batch: int, effort: Effort) -> Iterator[Row]:
    """Compare with mirror averaging, which the default model uses."""
    embedder, served = exported("mobilefacenet", 128, views="mirror")
    given = crops(batch, embedder.network.crop_size)
    last = torch.inference_mode()(partial(embedder, torch.from_numpy(given)))
    plain = torch.inference_mode()(partial(default_layout(embedder), torch.from_numpy(given)))
    contestants = {
        "ours": partial(served.embed, aligned(given)),
        "torch eager": plain,
        "torch eager, channels_last": last,
    }
    laps = race({name: Contestant(call) for name, call in contestants.items()}, effort.pace)
    for peer, wanted in (("torch eager", at_least(SPEEDUP)), ("torch eager, channels_last", None)):
        case = f"MobileFaceNet, fp32, batch {batch}; {peer}"
        yield versus("embed", case, laps, peer, target=wanted, note=TORCH_NOTE)


def default_layout(embedder: Embedder) -> Embedder:
    """Return a copy, because the exporter's network has the layout that is faster on a CPU."""
    network = MobileFaceNet(embedder.network.embedding_size)
    network.load_state_dict(embedder.network.state_dict())
    network.register_forward_pre_hook(lambda _, inputs: (inputs[0].contiguous(),))
    return Embedder(network, views=embedder.views).eval()


def eight_bits(name: str, full: str, effort: Effort) -> Row:
    """A model of the repository in 8 bits, against itself in 32."""
    size = read_embedder(MODELS / full).crop_size
    given = aligned(crops(max(BATCHES), size))
    laps = race(
        {peer: Contestant(partial(_served(model).embed, given)) for peer, model in (("ours", name), (full, full))},
        effort.pace,
    )
    case = f"{name}, batch {max(BATCHES)}"
    return versus("embed", case, laps, full, target=at_least(EIGHT_BIT_SPEEDUP))


def _served(name: str) -> OnnxEmbedder:
    manifest = read_embedder(MODELS / name)
    return OnnxEmbedder(Session(read_checked(MODELS / name, manifest.file), provider="cpu"), manifest)
