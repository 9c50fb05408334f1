"""Encrypt and decrypt single private values, each bound to its column and row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from app.gallery.records import DamagedValue
from app.storage.cipher import Cipher, DecryptionError, UnknownKey


def encrypt_json(cipher: Cipher, value: Any, value_aad: str) -> bytes:
    return cipher.encrypt(json.dumps(value).encode(), value_aad)


def decrypt_object(cipher: Cipher, stored: bytes, value_aad: str, column: str) -> Mapping[str, Any]:
    document = decrypt_json(cipher, stored, value_aad, column)
    if not isinstance(document, dict):
        raise DamagedValue(f"{column}: expected a JSON object, got {type(document).__name__}")
    return document


def decrypt_json(cipher: Cipher, stored: bytes, value_aad: str, column: str) -> Any:
    data = decrypt(cipher, stored, value_aad, column)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedValue(f"{column}: not JSON") from error


def decrypt(cipher: Cipher, stored: bytes, value_aad: str, column: str) -> bytes:
    """Raises DamagedValue, as the functions above."""
    try:
        return cipher.decrypt(stored, value_aad)
    except UnknownKey as error:
        raise DamagedValue(f"{column}: a value was changed or moved, or is of an earlier data key") from error
    except DecryptionError as error:
        raise DamagedValue(f"{column}: {error}") from error


_AAD_LABELS = {"response": "answer"}  # under which values were encrypted before the column had its present name


def aad(column: str, *ids: object) -> str:
    """The additional authenticated data of a value: its column and the ids of its row, quoted by JSON."""
    return json.dumps([_AAD_LABELS.get(column, column), *ids])
