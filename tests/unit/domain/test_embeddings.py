"""An embedding is one float32 vector."""

import numpy as np
import pytest

from app.domain.embeddings import Embedding


@pytest.mark.parametrize("vector", [np.zeros(4), np.zeros((1, 4), np.float32), np.zeros(4, np.int64)])
def test_embedding_must_be_one_float32_vector(vector: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected a float32 vector, got"):
        Embedding(vector, "sha256:0")
