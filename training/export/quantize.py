"""
Quantize layers to 8 bits: unsigned activations, and signed weights with a scale per output channel, as QDQ nodes.

Ranges come from training faces, by percentile, so that one extreme value does not cost all others their resolution. An
activation function is quantized together with its layer, so that nothing is converted to float between the two. Layers
are tried in order from the input, each together with those before it, since errors add up; layers that change the
vectors too much stay float.
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

from app.domain.arrays import Floats, Pixels
from app.inference.onnx_session import Session

LAYERS = ("Conv", "Gemm", "MatMul")
ACTIVATIONS = ("Relu", "Clip")
"""Activation functions that 8 bits with the right range already apply: they are quantized with their layer."""
PERCENTILE = 99.99
MAX_ADDED_ERROR = 1e-3
"""The largest 1 - cosine to the float network's vectors that a layer may add; chosen on lfw_dev among 2e-4 to 1e-3."""
PROBES = 32  # faces on which the error of a layer is measured
BATCH = 8


def quantize_layers(graph: bytes, faces: Pixels) -> tuple[bytes, list[str]]:
    """Return the graph with 8-bit layers, ranges taken from `faces` (N, H, W, 3), and the layers that stay float."""
    with tempfile.TemporaryDirectory() as folder:
        source, folded = Path(folder) / "source.onnx", Path(folder) / "folded.onnx"
        source.write_bytes(graph)
        quant_pre_process(source, folded, skip_symbolic_shape=True)
        ranges = _ranges(folded, faces, Path(folder))
        chosen: list[str] = []
        layers, expected, error = _layers(onnx.load(folded).graph), _vectors(graph, faces[:PROBES]), 0.0
        for layer in layers:
            got = _vectors(_quantized(folded, ranges, [*chosen, layer]), faces[:PROBES])
            new_error = 1 - float((got * expected).sum(axis=1).mean())
            if new_error - error <= MAX_ADDED_ERROR:
                chosen, error = [*chosen, layer], new_error
        return _quantized(folded, ranges, chosen), [layer for layer in layers if layer not in chosen]


def _layers(graph: onnx.GraphProto) -> list[str]:
    """Return the names of the layers with weights."""
    constants = {constant.name for constant in graph.initializer}
    return [node.name for node in graph.node if node.op_type in LAYERS and node.input[1] in constants]


def _ranges(network: Path, faces: Pixels, folder: Path) -> Any:
    """Return the ranges of every layer's input and output, for the quantizer."""
    calibrator = create_calibrator(
        network,
        [*LAYERS, *ACTIVATIONS],
        augmented_model_path=str(folder / "augmented.onnx"),
        calibrate_method=CalibrationMethod.Percentile,
        extra_options={"percentile": PERCENTILE},
    )
    calibrator.collect_data(_Faces(onnx.load(network).graph.input[0].name, faces))
    return calibrator.compute_data()


def _quantized(network: Path, ranges: Any, layers: Sequence[str]) -> bytes:
    """Return the network with `layers` in 8 bits and the others unchanged."""
    model = load_model_with_shape_infer(network)
    if not layers:
        return bytes(model.SerializeToString())
    quantizer = QDQQuantizer(
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
    quantizer.quantize_model()
    return bytes(quantizer.model.model.SerializeToString())


def _activations(graph: onnx.GraphProto, layers: Sequence[str]) -> list[str]:
    """Return the names of the activation functions that directly follow one of `layers`."""
    outputs = {node.output[0] for node in graph.node if node.name in layers}
    return [node.name for node in graph.node if node.op_type in ACTIVATIONS and node.input[0] in outputs]


def _vectors(graph: bytes, faces: Pixels) -> Floats:
    vectors: Floats = Session(graph, provider="cpu").run(faces)[0]
    return vectors


class _Faces(CalibrationDataReader):  # type: ignore[misc] # onnxruntime has no annotations
    """Feeds faces to the network, batch by batch."""

    def __init__(self, name: str, faces: Pixels) -> None:
        size = min(BATCH, len(faces))  # equal batches, because the quantizer stacks the outputs of layers
        whole = len(faces) - len(faces) % size
        self._batches = ({name: batch} for batch in np.split(faces[:whole], whole // size))

    def get_next(self) -> dict[str, Pixels] | None:
        return next(self._batches, None)
