"""
facenet-pytorch 2.6.0, as its README uses it, in torch eager on one thread.

It needs two functions of torchvision, which has no CPU build for this torch. ONNX Runtime's kernel takes the place of
its non-maximum suppression: it is C++ too and gives equal results. The stand-in of the tests is a plain loop, too
slow for a fair comparison.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from onnx import TensorProto, helper
from PIL import Image
from torch import Tensor, nn

from app.domain.arrays import Floats, Pixels
from tests.support.facenet_pytorch import load_mtcnn

MARGIN, SIDE = 14, 160
_MOST = 2**31 - 1


def detector(min_face: float = 20) -> Callable[[Pixels], Floats]:
    """Boxes (N, 4) of every face of a photo, largest first; otherwise by facenet-pytorch's defaults."""
    mtcnn = quick(load_mtcnn(keep_all=True, min_face_size=min_face))

    def detect(photo: Pixels) -> Floats:
        boxes, _, _ = mtcnn.detect(photo, landmarks=True)
        return np.empty((0, 4), np.float32) if boxes is None else np.asarray(boxes, np.float32)

    return detect


class Pipeline:
    """Two photos to a squared distance."""

    def __init__(self, network: nn.Module, min_face: float = 20) -> None:
        self._mtcnn = quick(load_mtcnn(image_size=SIDE, margin=MARGIN, min_face_size=min_face))
        self._network = network.eval()

    @torch.inference_mode()
    def distance(self, first: bytes, second: bytes) -> float:
        faces = [self._mtcnn(Image.open(io.BytesIO(data)).convert("RGB")) for data in (first, second)]  # (3, 160, 160)
        one, other = self._network(torch.stack(faces))  # (512,)
        return float((one - other).square().sum())


def quick(mtcnn: Any) -> Any:
    """Use the non-maximum suppression in C++."""
    sys.modules["facenet_pytorch.models.utils.detect_face"].batched_nms = _Suppression()  # type: ignore[attr-defined]
    return mtcnn


class _Suppression:
    """torchvision.ops.batched_nms: groups are moved apart, so that boxes of two of them never overlap."""

    def __init__(self) -> None:
        inputs = [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, "n", 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 1, "n"]),
            helper.make_tensor_value_info("most", TensorProto.INT64, [1]),
            helper.make_tensor_value_info("overlap", TensorProto.FLOAT, [1]),
        ]
        kept = helper.make_tensor_value_info("kept", TensorProto.INT64, ["k", 3])
        node = helper.make_node("NonMaxSuppression", [each.name for each in inputs], ["kept"])
        model = helper.make_model(
            helper.make_graph([node], "nms", inputs, [kept]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
        )
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])

    def __call__(self, boxes: Tensor, scores: Tensor, groups: Tensor, overlap: float) -> Tensor:
        if not len(boxes):
            return torch.empty(0, dtype=torch.int64)
        apart = boxes + (groups.to(boxes) * (boxes.max() + 1))[:, None]
        given = {
            "boxes": apart[None].numpy(),
            "scores": scores[None, None].numpy(),
            "most": np.array([_MOST]),
            "overlap": np.array([overlap], np.float32),
        }
        (kept,) = self._session.run(["kept"], given)
        return torch.from_numpy(kept[:, 2])
