"""Vectors that are equal up to rounding: an encrypted gallery stores them transformed, in float32."""

from dataclasses import dataclass

import numpy as np

from app.domain.models import Floats


@dataclass(eq=False)
class Near:
    vector: Floats

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Near) and np.allclose(self.vector, other.vector, rtol=0, atol=1e-6)

    __hash__ = None  # type: ignore[assignment]
