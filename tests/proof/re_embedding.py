"""A process that gives galleries another model and back, from kept crops, beside a service that is killed with it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from app.domain.arrays import Pixels
from app.domain.embeddings import Embedding
from app.domain.errors import ServiceError
from app.domain.faces import AlignedCrop
from app.domain.identity import SYSTEM
from app.gallery.repository import GalleryRepository
from app.images.crops import CROP_SIZE, encode_crop
from app.services.re_embedding import ReEmbedding
from app.storage.cipher import AesGcmCipher, parse_keys
from tests.support.repository import FileRepository
from tests.support.server import REPOSITORY
from tests.support.templates import unit

from .model_client import DIMENSION, Unanswered

OTHER_MODEL = "sha256:" + "b" * 64
"""Its vectors are the opposite ones."""
_ROWS, _COLUMNS = 4, 8
_BLOCK = (CROP_SIZE // _ROWS, CROP_SIZE // _COLUMNS)
_OPENED, _SWITCHED = "opened", "switched"


def crop_of(seed: int) -> bytes:
    """Return a crop that shows the number as black and white blocks, and has it in a comment of the JPEG file, too."""
    bits = np.array([seed >> place & 1 for place in range(_ROWS * _COLUMNS)], np.uint8).reshape(_ROWS, _COLUMNS)
    pixels = np.kron(bits * 255, np.ones(_BLOCK, np.uint8))
    jpeg, text = encode_crop(np.repeat(pixels[..., None], 3, axis=2)), crop_text(seed)
    return jpeg[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + jpeg[2:]


def crop_text(seed: int) -> bytes:
    """Return what only the crop of this number has."""
    return f"<crop of {seed:09d}>".encode()


def _seed_in(pixels: Pixels) -> int:
    centers = pixels[_BLOCK[0] // 2 :: _BLOCK[0], _BLOCK[1] // 2 :: _BLOCK[1], 0]
    return sum(1 << place for place, value in enumerate(centers.flat) if value > 127)


class _NumberEmbedder:
    """Returns the vector of the number that a crop shows, or its opposite."""

    def __init__(self, model: str, sign: int) -> None:
        self.model, self._sign = model, sign

    def embed(self, crops: Sequence[AlignedCrop]) -> list[Embedding]:
        return [Embedding(self._sign * unit(_seed_in(crop.pixels), DIMENSION), self.model) for crop in crops]


class ReEmbedder:
    """The process, which has opened the database. One gallery after another."""

    def __init__(self, address: Path | str, model: str, key: str) -> None:
        self._lock = threading.Lock()
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(address), model, key],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        assert self.process.stdout.readline() == f"{_OPENED}\n"

    def re_embed(self, gallery: str) -> Iterator[None]:
        """Give the gallery the other model, then its own; yield at each switch. Raises Unanswered."""
        assert self.process.stdin
        assert self.process.stdout
        with self._lock:
            try:
                self.process.stdin.write(f"{gallery}\n")
                self.process.stdin.flush()
            except (BrokenPipeError, ValueError) as error:  # it was killed, or its pipes are closed
                raise Unanswered(gallery) from error
            for _ in range(2):
                if (line := self.process.stdout.readline()) != f"{_SWITCHED}\n":
                    assert line or self.process.wait(10) == -signal.SIGKILL
                    raise Unanswered(f"{gallery}: {line}")
                yield

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)
        with self._lock, contextlib.suppress(BrokenPipeError):  # after the thread that waits for an answer
            for pipe in (self.process.stdout, self.process.stdin):
                assert pipe
                pipe.close()


def _serve(address: Path | str, model: str, key: str) -> None:
    cipher = AesGcmCipher(parse_keys(key)) if key else None
    with closing(FileRepository(address, cipher=cipher)) as repository:
        _say(_OPENED)
        for line in sys.stdin:
            try:
                for embedder in (_NumberEmbedder(OTHER_MODEL, -1), _NumberEmbedder(model, 1)):
                    _re_embed(repository, line.strip(), embedder)
                    _say(_SWITCHED)
            except ServiceError as error:  # the database was killed
                _say(f"failed: {error}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _re_embed(repository: GalleryRepository, gallery: str, embedder: _NumberEmbedder) -> None:
    task = ReEmbedding(repository, gallery, embedder, DIMENSION, SYSTEM)
    while not task.is_done():
        for _ in task.fill():
            pass
        task.switch(drop_faces_without_crops=True)


if __name__ == "__main__":
    given, digest, secret = sys.argv[1:]
    _serve(given if "://" in given else Path(given), digest, secret)
