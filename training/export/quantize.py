"""
A network's layers in 8 bits: unsigned activations, signed weights with a scale an output channel, as QDQ nodes.

Ranges come of training faces, by percentile: else the largest value of one face would cost all others their resolution.
An activation goes with its layer: its range is all that the 8 bits need to hold, and nothing is carried back to float
between the two. Layer by layer from the input, those that turn the vectors too far stay float; each is tried together
with those before it, because two that are harmless alone can be ruinous together.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import create_calibrator
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import load_model_with_shape_infer
from onnxruntime.quantization.shape_inference import quant_pre_process

from app.domain.nouns import Floats, Pixels
from app.runtime.session import Session

LAYERS = ("Conv", "Gemm", "MatMul")
ACTIVATIONS = ("Relu", "Clip")
"""What a layer's 8 bits do by themselves, where nothing else reads its output: the two are quantised as one."""
PERCENTILE = 99.99
SENSITIVE = 1e-3
"""What a layer may add to 1 - cosine of the vectors and the float network's; chosen on lfw_dev, of 2e-4 to 1e-3."""
PROBES = 32  # faces that tell how far a layer turns the vectors
BATCH = 8


def in_8_bits(graph: bytes, faces: Pixels) -> tuple[bytes, list[str]]:
    """The graph with 8-bit layers, their ranges taken from `faces` (N, H, W, 3), and the layers that stay float."""
    with tempfile.TemporaryDirectory() as folder:
        source, folded = Path(folder) / "source.onnx", Path(folder) / "folded.onnx"
        source.write_bytes(graph)
        quant_pre_process(source, folded, skip_symbolic_shape=True)
        ranges = _ranges(folded, faces, Path(folder))
        kept: list[str] = []
        layers, wanted, turned = _layers(onnx.load(folded).graph), _vectors(graph, faces[:PROBES]), 0.0
        for layer in layers:
            got = _vectors(_quantised(folded, ranges, [*kept, layer]), faces[:PROBES])
            now = 1 - float((got * wanted).sum(axis=1).mean())
            if now - turned <= SENSITIVE:
                kept, turned = [*kept, layer], now
        return _quantised(folded, ranges, kept), [layer for layer in layers if layer not in kept]


def _layers(graph: onnx.GraphProto) -> list[str]:
    """Names of the layers with weights."""
    constants = {constant.name for constant in graph.initializer}
    return [node.name for node in graph.node if node.op_type in LAYERS and node.input[1] in constants]


def _ranges(network: Path, faces: Pixels, folder: Path) -> Any:
    """Of every layer's input and output, as the quantiser wants them."""
    calibrator = create_calibrator(
        network,
        [*LAYERS, *ACTIVATIONS],
        augmented_model_path=str(folder / "augmented.onnx"),
        calibrate_method=CalibrationMethod.Percentile,
        extra_options={"percentile": PERCENTILE},
    )
    calibrator.collect_data(_Faces(onnx.load(network).graph.input[0].name, faces))
    return calibrator.compute_data()


def _quantised(network: Path, ranges: Any, layers: Sequence[str]) -> bytes:
    """With `layers` in 8 bits and the others as they are."""
    model = load_model_with_shape_infer(network)
    if not layers:
        return bytes(model.SerializeToString())
    quantiser = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=ranges,
        nodes_to_quantize=[*layers, *_activations(model.graph, layers)],
        nodes_to_exclude=[],
        op_types_to_quantize=[*LAYERS, *ACTIVATIONS],
        extra_options={},
    )
    quantiser.quantize_model()
    return bytes(quantiser.model.model.SerializeToString())


def _activations(graph: onnx.GraphProto, layers: Sequence[str]) -> list[str]:
    """Names of those that directly follow one of `layers`."""
    outputs = {node.output[0] for node in graph.node if node.name in layers}
    return [node.name for node in graph.node if node.op_type in ACTIVATIONS and node.input[0] in outputs]


def _vectors(graph: bytes, faces: Pixels) -> Floats:
    vectors: Floats = Session(graph, provider="cpu").run(faces)[0]
    return vectors


class _Faces(CalibrationDataReader):  # type: ignore[misc] # onnxruntime has no annotations
    """What the quantiser feeds to the network, batch by batch."""

    def __init__(self, name: str, faces: Pixels) -> None:
        size = min(BATCH, len(faces))  # equal batches, because the quantiser stacks what the layers give
        whole = len(faces) - len(faces) % size
        self._batches = ({name: batch} for batch in np.split(faces[:whole], whole // size))

    def get_next(self) -> dict[str, Pixels] | None:
        return next(self._batches, None)
