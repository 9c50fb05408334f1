"""
The file of an index: a header with a random key, then chunks that this key encrypts.

AES-GCM detects every change of a chunk, and the chunks are numbered, so that none can be moved or cut off. To overwrite
the header destroys the key, and with it the file. The header has the key encrypted by the gallery's cipher, or as it is
if the gallery is not encrypted.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from app.audit.log import Head
from app.domain.errors import ServiceError
from app.gallery.fixed_point import FixedPoint
from app.gallery.packed_ids import Bytes, PackedIds
from app.gallery.records import GalleryInfo
from app.gallery.sealed_values import aad
from app.gallery.segment import CodedFaces
from app.storage.cipher import KEY_BYTES, OVERHEAD, AesGcmCipher, Cipher

HEADER_BYTES = 4096
_MAGIC = b"likeness index 1\n"
_CHUNK = 2**23
_LENGTH = 4


class InvalidIndexFile(ValueError):
    """The file is not as it was written, or its key is not given."""


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """The gallery whose index the file has, and the end of the audit log then or later."""

    gallery: GalleryInfo
    head: Head


def write(
    file: IO[bytes], cipher: Cipher, info: IndexInfo, contents: Iterable[CodedFaces], on_chunk: Callable[[], None]
) -> None:
    """`on_chunk` is called before each chunk, and may raise to stop."""
    key = os.urandom(KEY_BYTES)
    header = _MAGIC + _with_length(cipher.encrypt(key, aad("index", info.gallery.number)))
    file.write(header.ljust(HEADER_BYTES, b"\0"))
    chunks = AesGcmCipher([key])
    for number, chunk in enumerate(_chunks(info, contents)):
        on_chunk()
        file.write(_with_length(chunks.encrypt(chunk, aad("chunk", number))))


class Reader:
    """Reads `info`, and then the contents once. Every method raises InvalidIndexFile."""

    def __init__(self, file: IO[bytes], cipher: Cipher, gallery_number: int) -> None:
        self._file, self._number = file, 0
        header = file.read(HEADER_BYTES)
        if len(header) != HEADER_BYTES or not header.startswith(_MAGIC):
            raise InvalidIndexFile("expected the header of an index")
        start = len(_MAGIC) + _LENGTH
        length = int.from_bytes(header[len(_MAGIC) : start], "little")
        try:
            key = cipher.decrypt(header[start : start + length], aad("index", gallery_number))
        except ServiceError as error:
            raise InvalidIndexFile("the key of the file cannot be decrypted") from error
        if len(key) != KEY_BYTES:
            raise InvalidIndexFile("the header has no key")
        self._chunks = AesGcmCipher([key])
        self.info = _info_from(self._document())

    def contents(self) -> Iterator[CodedFaces]:
        while parts := self._document().get("parts"):
            high, low, offsets, *ids = [self._array(*part) for part in parts["arrays"]]
            vectors = FixedPoint(high, low, int(parts["exponent"]))
            yield CodedFaces(vectors, offsets, PackedIds(ids[0], ids[1]), PackedIds(ids[2], ids[3]))

    def _document(self) -> dict[str, Any]:
        document = json.loads(self._chunk())
        if not isinstance(document, dict):
            raise InvalidIndexFile("expected an object")
        return document

    def _array(self, kind: str, *shape: int) -> npt.NDArray[Any]:
        array = np.empty(shape, kind)
        memory = _bytes_of(array)
        for start in range(0, len(memory), _CHUNK):
            chunk = np.frombuffer(self._chunk(), np.uint8)
            memory[start : start + len(chunk)] = chunk
        return array

    def _chunk(self) -> bytes:
        length = int.from_bytes(self._file.read(_LENGTH), "little")
        if not OVERHEAD <= length <= _CHUNK + OVERHEAD:
            raise InvalidIndexFile("expected another chunk")
        try:
            chunk = self._chunks.decrypt(self._file.read(length), aad("chunk", self._number))
        except ServiceError as error:
            raise InvalidIndexFile(f"chunk {self._number} was changed") from error
        self._number += 1
        return chunk


def overwrite_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(os.urandom(HEADER_BYTES))
        file.flush()
        os.fsync(file.fileno())


def _with_length(data: bytes) -> bytes:
    return len(data).to_bytes(_LENGTH, "little") + data


def _chunks(info: IndexInfo, contents: Iterable[CodedFaces]) -> Iterator[bytes]:
    yield json.dumps(_info_document(info)).encode()
    for each in contents:
        arrays: list[npt.NDArray[Any]] = [each.vectors.high, each.vectors.low, each.offsets]
        arrays += [each.faces.data, each.faces.ends, each.subjects.data, each.subjects.ends]
        described = [[array.dtype.str, *array.shape] for array in arrays]
        yield json.dumps({"parts": {"exponent": each.vectors.exponent, "arrays": described}}).encode()
        for array in arrays:
            memory = _bytes_of(np.ascontiguousarray(array))
            for start in range(0, len(memory), _CHUNK):
                yield memory[start : start + _CHUNK].tobytes()
    yield json.dumps({"parts": None}).encode()


def _bytes_of(array: npt.NDArray[Any]) -> Bytes:
    """Return a view of the memory of a contiguous array."""
    return array.reshape(-1).view(np.uint8)


def _info_document(info: IndexInfo) -> dict[str, Any]:
    gallery = asdict(info.gallery)
    seed = info.gallery.sealed_seed
    return {"gallery": {**gallery, "sealed_seed": seed and b64encode(seed).decode()}, "head": asdict(info.head)}


def _info_from(document: dict[str, Any]) -> IndexInfo:
    gallery = document["gallery"]
    seed = gallery["sealed_seed"]
    return IndexInfo(GalleryInfo(**{**gallery, "sealed_seed": seed and b64decode(seed)}), Head(**document["head"]))
