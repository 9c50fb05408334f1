"""Implementations have the signatures of their ports."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from app.domain.ports import Detector, Embedder, NoObserver, Observer
from app.faces.detector.mtcnn import Mtcnn
from app.inference.embedder import OnnxEmbedder
from app.observability.metrics import Metrics

EVENTS = ["on_photo", "on_rejected", "on_compared", "on_batch", "on_expired"]


@pytest.mark.parametrize(
    ("port", "implementation"),
    [
        (Detector.detect, Mtcnn.detect),
        (Embedder.embed, OnnxEmbedder.embed),
        *((getattr(Observer, event), getattr(kind, event)) for event in EVENTS for kind in (Metrics, NoObserver)),
    ],
)
def test_signature_is_that_of_the_port(port: Callable[..., Any], implementation: Callable[..., Any]) -> None:
    assert inspect.signature(implementation) == inspect.signature(port)


@pytest.mark.parametrize("kind", [Embedder, OnnxEmbedder])
def test_model_of_an_embedder_is_read_only(kind: type) -> None:
    assert vars(kind)["model"].fset is None
