"""The vectors of aligned crops, cached on disk: a stopped command goes on, and the next one embeds nothing again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from app.domain.arrays import Floats, Pixels

CHUNK = 1024
"""Crops between two writes of the cache."""


class VectorCache:
    """A file of one embedder's vectors (M, D), by the digests of the crops' pixels."""

    def __init__(self, folder: Path, embedder: str, dimension: int, provider: str = "") -> None:
        """`embedder` is the digest of the network, `provider` what it runs on if that changes the vectors."""
        name = embedder.removeprefix("sha256:")[:16]
        self._file = folder / f"vectors-{provider}-{name}.npz" if provider else folder / f"vectors-{name}.npz"
        self._dimension = dimension

    def vectors(self, crops: Pixels, embed: Callable[[Pixels], Floats]) -> Floats:
        """Return the vectors (N, D) of crops (N, size, size, 3); `embed` computes those that the file does not have."""
        digests = [hashlib.sha256(crop.tobytes()).hexdigest() for crop in crops]
        known = self._read()
        new = list({digest: row for row, digest in enumerate(digests) if digest not in known}.items())
        for start in range(0, len(new), CHUNK):
            chunk = new[start : start + CHUNK]
            found = embed(crops[[row for _, row in chunk]])
            known |= {digest: vector for (digest, _), vector in zip(chunk, found, strict=True)}
            self._write(known)
        return np.array([known[digest] for digest in digests], np.float32).reshape(-1, self._dimension)

    def _read(self) -> dict[str, Floats]:
        if not self._file.exists():
            return {}
        with np.load(self._file) as cached:
            return dict(zip(cached["digests"].tolist(), cached["vectors"], strict=True))

    def _write(self, known: dict[str, Floats]) -> None:
        """Write the file atomically."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._file.with_suffix(f".{os.getpid()}.npz")
        np.savez(partial, digests=np.array(list(known)), vectors=np.array(list(known.values()), np.float32))
        partial.replace(self._file)
