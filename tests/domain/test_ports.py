import inspect

import pytest

from app.domain.ports import Detector, Embedder, Observer
from app.faces.mtcnn.cascade import Mtcnn
from app.inference.embedder import OnnxEmbedder
from app.observability.metrics import Metrics


@pytest.mark.parametrize(
    ("port", "implementation"),
    [
        (Detector.detect, Mtcnn.detect),
        (Embedder.embed, OnnxEmbedder.embed),
        (Observer.on_photo, Metrics.on_photo),
        (Observer.on_rejected, Metrics.on_rejected),
        (Observer.on_compared, Metrics.on_compared),
        (Observer.on_batch, Metrics.on_batch),
        (Observer.on_expired, Metrics.on_expired),
    ],
)
def test_an_implementation_takes_and_gives_what_its_port_says(port: object, implementation: object) -> None:
    assert inspect.signature(implementation) == inspect.signature(port)


def test_a_model_is_read_and_not_set() -> None:
    assert Embedder.model.fset is None
    assert OnnxEmbedder.model.fset is None
