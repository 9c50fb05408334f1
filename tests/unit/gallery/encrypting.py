"""Encryption keys, and a search for private values in the files of a gallery."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from app.gallery.records import IdempotencyRecord
from app.gallery.repository import GalleryRepository
from app.storage.cipher import KEY_BYTES, AesGcmCipher, Cipher
from tests.support.repository import FileRepository
from tests.support.templates import template, unit

OLD, NEW, OTHER = (bytes([number]) * KEY_BYTES for number in (1, 2, 3))
DIMENSION, PIECE = 64, 16
ANSWER = {"box": [1234.5, 678.25], "note": "a saved response"}
CONSENT = "signed form 4711-B"
METADATA = {"name": "Augusta Ada King", "title": "Countess of Lovelace"}


@contextmanager
def opened(path: Path, cipher: Cipher | None) -> Iterator[FileRepository]:
    with closing(FileRepository(path, cipher=cipher)) as repository:
        yield repository


def cipher(*keys: bytes) -> AesGcmCipher:
    return AesGcmCipher(keys)


def enroll_all_kinds(repository: GalleryRepository) -> None:
    """Write vectors, detections, metadata and saved responses."""
    for seed in range(5):
        faces = [template(f"face {seed}", "ada", unit(seed, DIMENSION))]
        repository.enroll("guests", "ada", faces, IdempotencyRecord(f"key {seed}", "request", ANSWER))
    repository.put_subject("guests", "ada", METADATA, consent=CONSENT)


def private_pieces() -> dict[str, list[bytes]]:
    """Return values that must not be readable, in pieces small enough that one would lie whole on a page."""
    vectors = [unit(seed, DIMENSION).tobytes() for seed in range(5)]
    return {
        "vector": [data[at : at + PIECE] for data in vectors for at in range(0, len(data), PIECE)],
        "detection": [b"110.5", b'"landmarks": ['],
        "metadata": [b"Augusta", b"Lovelace"],
        "consent": [b"4711-B"],
        "answer": [b"1234.5", b"a saved response"],
    }


def kinds_found(path: Path) -> set[str]:
    """Return the kinds of private values of which a piece is in the database or in a file beside it."""
    kept = b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))
    return {kind for kind, pieces in private_pieces().items() if any(piece in kept for piece in pieces)}
