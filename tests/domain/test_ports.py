import inspect

import pytest

from app.domain.ports import Detector, Embedder, Observer
from app.faces.detector.mtcnn import Mtcnn
from app.inference.embedder import OnnxEmbedder
from app.observability.metrics import Metrics


@pytest.mark.parametrize(
    ("port", "implementation"),
    [
        (Detector.detect, Mtcnn.detect),
        (Embedder.embed, OnnxEmbedder.embed),
        (Observer.photo, Metrics.photo),
        (Observer.rejected, Metrics.rejected),
        (Observer.compared, Metrics.compared),
        (Observer.batch, Metrics.batch),
        (Observer.expired, Metrics.expired),
    ],
)
def test_an_implementation_takes_and_gives_what_its_port_says(port: object, implementation: object) -> None:
    assert inspect.signature(implementation) == inspect.signature(port)


def test_a_model_is_read_and_not_set() -> None:
    assert Embedder.model.fset is None
    assert OnnxEmbedder.model.fset is None
