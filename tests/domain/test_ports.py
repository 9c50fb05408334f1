import inspect

import pytest

from app.domain.ports import Detector, Embedder
from app.embedding.embedder import OnnxEmbedder
from app.faces.mtcnn.cascade import Mtcnn


@pytest.mark.parametrize(
    ("port", "implementation"), [(Detector.detect, Mtcnn.detect), (Embedder.embed, OnnxEmbedder.embed)]
)
def test_an_implementation_takes_and_gives_what_its_port_says(port: object, implementation: object) -> None:
    assert inspect.signature(implementation) == inspect.signature(port)


def test_a_model_is_read_and_not_set() -> None:
    assert Embedder.model.fset is None
    assert OnnxEmbedder.model.fset is None
