"""Take vectors that callers made by /embed in place of photos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.domain.embeddings import Embedding, vector_problem
from app.domain.errors import InvalidRequest, ModelMismatch
from app.domain.ports import ThresholdOffsets


class Vectors:
    """Checks vectors of the embedder in use, and adds their threshold offsets."""

    def __init__(self, model: str, dimension: int, offsets: ThresholdOffsets) -> None:
        """`model` is the digest of the embedder, whose vectors have `dimension` numbers."""
        self._model, self._dimension, self._offsets = model, dimension, offsets

    def embedding(self, field: str, numbers: Sequence[float], model: str | None) -> Embedding:
        """
        Return the vector that was given in the field `field`.

        Raises ModelMismatch unless `model` is the digest of the embedder in use, or InvalidRequest if it is missing, or
        if the numbers are no unit vector of that embedder.
        """
        if model is None:
            detail = "expected the model that made the vector, got none"
            raise InvalidRequest(f"model: {detail}", [("model", detail)])
        if model != self._model:
            raise ModelMismatch(f"expected a vector of the model {self._model}, got one of {model[:80]}")
        with np.errstate(over="ignore"):  # what is no float32 has no length
            vector = np.asarray(numbers, np.float32)
        if problem := vector_problem(vector, self._dimension):
            raise InvalidRequest(f"{field}: {problem}", [(field, problem)])
        (offset,) = self._offsets.of(vector[None]) if self._offsets.model == model else (0.0,)
        return Embedding(vector, model, float(offset))
