"""`python -m training import-mtcnn`: convert the MTCNN weights in the facenet-pytorch wheel to ONNX."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
from torch import nn

from app.inference.manifest import MANIFEST, DetectorManifest, ModelFile, digest_of
from training.errors import TrainingError
from training.export.mtcnn_graph import PIXEL, ServedONet, ServedPNet, ServedRNet
from training.export.torch_to_onnx import to_onnx
from training.networks.mtcnn import ONet, PNet, RNet, fold_normalisation

LICENSE_NOTE = """The MTCNN weights in this folder come from facenet-pytorch 2.6.0
(facenet_pytorch/data/*.pt). They are rewritten (see training/export/mtcnn_graph.py),
but compute the same to float rounding.

MIT License

Copyright (c) 2019 Timothy Esler

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def run(output: Path, weights: Path | None = None) -> Path:
    """Write the three networks and their manifest into `output`; `weights` is a folder of {pnet,rnet,onet}.pt."""
    source = weights or wheel_data()
    output.mkdir(parents=True, exist_ok=True)
    files = {
        "pnet": _export(PNet(), source / "pnet.pt", output / "pnet.onnx", size=None),
        "rnet": _export(RNet(), source / "rnet.pt", output / "rnet.onnx", size=24),
        "onet": _export(ONet(), source / "onet.pt", output / "onet.onnx", size=48),
    }
    manifest = DetectorManifest(
        id="mtcnn",
        kind="mtcnn",
        license="MIT",
        provenance={"weights": "facenet-pytorch 2.6.0", "command": "python -m training import-mtcnn"},
        **files,
    )
    (output / "LICENSE").write_text(LICENSE_NOTE)
    path = output / MANIFEST
    path.write_text(manifest.model_dump_json(indent=2) + "\n")
    return path


def wheel_data() -> Path:
    """Return the folder of weights in the installed facenet-pytorch, without importing it. Raises TrainingError."""
    spec = importlib.util.find_spec("facenet_pytorch")
    if spec is None or spec.origin is None:
        raise TrainingError(
            "facenet-pytorch is not installed: `pip install --no-deps facenet-pytorch==2.6.0`, or give --weights FOLDER"
        )
    return Path(spec.origin).parent / "data"


def _export(network: PNet | RNet | ONet, weights: Path, output: Path, size: int | None) -> ModelFile:
    """Export one network; `size` is the side of its crops, or None if it takes photos of any size."""
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    network.eval()
    fold_normalisation(network)
    served, output_names = _served(network)
    dynamic_axes = {0: "batch"} if size else {0: "batch", 1: "height", 2: "width"}
    side = size or 32
    graph = to_onnx(served, torch.zeros(2, side, side, PIXEL), "pixels", output_names, dynamic_axes)
    output.write_bytes(graph)
    return ModelFile(path=output.name, digest=digest_of(graph))


def _served(network: PNet | RNet | ONet) -> tuple[nn.Module, list[str]]:
    """Return the network in its fast form, and the names of its outputs."""
    if isinstance(network, PNet):
        return ServedPNet(network), ["offsets", "logits"]
    if isinstance(network, RNet):
        return ServedRNet(network), ["offsets", "probabilities"]
    return ServedONet(network), ["offsets", "landmarks", "probabilities"]
