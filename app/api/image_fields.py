"""The fields of a request that have images, and the fields with vectors that may stand in their place."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.errors import InvalidRequest

MAX_IMAGES = 32
MAX_CLUSTERED = 500


@dataclass(frozen=True, slots=True)
class ImageField:
    """
    A field that is given 1 to `most` times; `too_many` is the error for more.

    In JSON, one of the fields `embeddings` may be given instead of images.
    """

    name: str
    most: int = 1
    embeddings: tuple[str, ...] = ()
    too_many: type[InvalidRequest] = InvalidRequest
