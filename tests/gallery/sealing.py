"""Keys, and what shows of a gallery to whoever has its files and none of them."""

from pathlib import Path

from app.gallery.codec import IdempotencyRecord
from app.gallery.repository import GalleryRepository
from app.storage.cipher import KEY_BYTES, AesGcmCipher
from tests.support.templates import template, unit

OLD, NEW, OTHER = (bytes([number]) * KEY_BYTES for number in (1, 2, 3))
DIMENSION, PIECE = 64, 16
ANSWER = {"box": [1234.5, 678.25], "note": "an answer kept"}
METADATA = {"name": "Augusta Ada King", "title": "Countess of Lovelace"}


def cipher(*keys: bytes) -> AesGcmCipher:
    return AesGcmCipher(keys)


def enroll_all_kinds(records: GalleryRepository) -> None:
    """Vectors, how faces were seen, metadata, an answer that is remembered."""
    for seed in range(5):
        faces = [template(f"face {seed}", "ada", unit(seed, DIMENSION))]
        records.enroll("guests", "ada", faces, IdempotencyRecord(f"key {seed}", "request", ANSWER))
    records.put_subject("guests", "ada", METADATA)


def private_pieces() -> dict[str, list[bytes]]:
    """What may not be readable, in pieces small enough that one would be found on any page."""
    vectors = [unit(seed, DIMENSION).tobytes() for seed in range(5)]
    return {
        "vector": [data[at : at + PIECE] for data in vectors for at in range(0, len(data), PIECE)],
        "detection": [b"110.5", b'"landmarks": ['],
        "metadata": [b"Augusta", b"Lovelace"],
        "answer": [b"1234.5", b"an answer kept"],
    }


def kinds_found(path: Path) -> set[str]:
    """Of which kinds of private values a piece is in the database or in any file beside it."""
    kept = b"".join(file.read_bytes() for file in sorted(path.parent.iterdir()))
    return {kind for kind, pieces in private_pieces().items() if any(piece in kept for piece in pieces)}
