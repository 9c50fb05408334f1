"""
The only door to cryptography's ciphers: values sealed with AES-256-GCM before they are written.

A sealed value is a format byte, eight bytes that name the key, a random nonce of twelve, the ciphertext and its tag.
What the value is about (table, row) is authenticated with it, so that a sealed vector moved to another subject's row
does not open. Nonces are random: by NIST SP 800-38D a key is good for 2^32 values.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.domain.errors import ServiceError, StartError

KEY_BYTES = 32
_FORMAT = b"\x01"
_ID, _NONCE, _TAG = 8, 12, 16
_LEAST = 1 + _ID + _NONCE + _TAG


class Cipher(Protocol):
    @property
    def name(self) -> bytes:
        """Of the key that closes; empty where values are in clear."""
        ...

    def close(self, value: bytes, about: str) -> bytes:
        """What is written for `value`."""
        ...

    def open(self, written: bytes, about: str) -> bytes:
        """`value` again. Raises ServiceError where it was changed, moved, or closed with a key that is not here."""
        ...


class NoCipher:
    """Values as they are."""

    name = b""

    def close(self, value: bytes, about: str) -> bytes:  # noqa: ARG002
        return value

    def open(self, written: bytes, about: str) -> bytes:  # noqa: ARG002
        return written


class AesGcmCipher:
    """The first of `keys` (32 bytes each) closes, all of them open."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = {_name(key): AESGCM(key) for key in keys}
        self.name = _name(keys[0])

    def close(self, value: bytes, about: str) -> bytes:
        nonce = os.urandom(_NONCE)
        return _FORMAT + self.name + nonce + self._ciphers[self.name].encrypt(nonce, value, about.encode())

    def open(self, written: bytes, about: str) -> bytes:
        head, key, nonce = written[:1], name_of(written), written[1 + _ID : 1 + _ID + _NONCE]
        if len(written) < _LEAST:
            raise ServiceError("a sealed value was cut short: see `likeness gallery check`")
        if head != _FORMAT or key not in self._ciphers:
            raise ServiceError("a value of the gallery was sealed with a key that is not given")
        try:
            return self._ciphers[key].decrypt(nonce, written[1 + _ID + _NONCE :], about.encode())
        except InvalidTag as error:
            raise ServiceError("a sealed value was changed or moved: see `likeness gallery check`") from error


def name_of(written: bytes) -> bytes:
    """Of the key that closed a value."""
    return written[1 : 1 + _ID]


def parse_keys(text: str) -> list[bytes]:
    """Base64 keys, separated by commas or white space. Raises StartError, which says nothing of the keys themselves."""
    keys = [_key(number, each) for number, each in enumerate(text.replace(",", " ").split(), start=1)]
    if not keys:
        raise StartError("want an encryption key: base64 of 32 bytes, as `openssl rand -base64 32` prints it")
    return keys


def _key(number: int, text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise StartError(f"encryption key {number} is not base64") from None
    if len(key) != KEY_BYTES:
        raise StartError(f"encryption key {number} has {len(key)} bytes, want {KEY_BYTES}")
    return key


def _name(key: bytes) -> bytes:
    return hashlib.sha256(b"likeness key name" + key).digest()[:_ID]
