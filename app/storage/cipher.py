"""
Encryption of single values with AES-256-GCM. Only this module imports `cryptography`.

An encrypted value is a format byte, eight bytes that name the key, a random nonce of twelve bytes, the ciphertext and
its tag. The additional authenticated data (`aad`) names the table row, so that an encrypted vector that was moved to
another subject's row cannot be decrypted. Nonces are random: by NIST SP 800-38D a key is good for 2^32 values.
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
KEY_NAME_START, KEY_NAME_BYTES = 1, 8
_FORMAT = b"\x01"
_NONCE_START, _NONCE_BYTES, _TAG_BYTES = 9, 12, 16
NOT_GIVEN = "the gallery is encrypted: set LIKENESS_ENCRYPTION_KEY or LIKENESS_ENCRYPTION_KEY_FILE to its key"
OVERHEAD = _NONCE_START + _NONCE_BYTES + _TAG_BYTES
"""The number of bytes by which encryption makes a value longer."""


class DecryptionError(ServiceError):
    """An encrypted value was changed, moved or cut short."""


class UnknownKey(DecryptionError):
    """A value was encrypted with a key that is not given, or the bytes that name its key were changed."""


class Cipher(Protocol):
    @property
    def key_name(self) -> bytes:
        """The name of the key that encrypts; empty if values are not encrypted."""
        ...

    def encrypt(self, value: bytes, aad: str) -> bytes: ...

    def decrypt(self, encrypted: bytes, aad: str) -> bytes:
        """Raises DecryptionError."""
        ...


class NoCipher:
    """Leaves values as they are."""

    key_name = b""

    def encrypt(self, value: bytes, aad: str) -> bytes:  # noqa: ARG002
        return value

    def decrypt(self, encrypted: bytes, aad: str) -> bytes:  # noqa: ARG002
        return encrypted


class AesGcmCipher:
    """Encrypts with the first of `keys` (32 bytes each), and decrypts with any of them."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = {_name_of_key(key): AESGCM(key) for key in keys}
        self.key_name = _name_of_key(keys[0])

    def has_key(self, name: bytes) -> bool:
        """Return whether values encrypted with the key of that name can be decrypted."""
        return name in self._ciphers

    def encrypt(self, value: bytes, aad: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return _FORMAT + self.key_name + nonce + self._ciphers[self.key_name].encrypt(nonce, value, aad.encode())

    def decrypt(self, encrypted: bytes, aad: str) -> bytes:
        if len(encrypted) < OVERHEAD:
            raise DecryptionError("an encrypted value was cut short: run `likeness gallery check`")
        key_name = key_name_of(encrypted)
        if not encrypted.startswith(_FORMAT) or key_name not in self._ciphers:
            raise UnknownKey("a value was encrypted with a key that is not given")
        nonce_end = _NONCE_START + _NONCE_BYTES
        nonce, ciphertext = encrypted[_NONCE_START:nonce_end], encrypted[nonce_end:]
        try:
            return self._ciphers[key_name].decrypt(nonce, ciphertext, aad.encode())
        except InvalidTag as error:
            raise DecryptionError("an encrypted value was changed or moved: run `likeness gallery check`") from error


def key_name_of(encrypted: bytes) -> bytes:
    """Return the name of the key that encrypted a value."""
    return encrypted[KEY_NAME_START : KEY_NAME_START + KEY_NAME_BYTES]


def parse_keys(text: str) -> list[bytes]:
    """Read base64 keys, separated by commas or white space. Raises StartError, which never shows the keys."""
    keys = [_parse_key(number, each) for number, each in enumerate(text.replace(",", " ").split(), start=1)]
    if not keys:
        raise StartError("expected an encryption key: base64 of 32 bytes, as `openssl rand -base64 32` prints it")
    return keys


def _parse_key(number: int, text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise StartError(f"encryption key {number} is not base64") from None
    if len(key) != KEY_BYTES:
        raise StartError(f"encryption key {number}: expected {KEY_BYTES} bytes, got {len(key)}")
    return key


def _name_of_key(key: bytes) -> bytes:
    return hashlib.sha256(b"likeness key name" + key).digest()[:KEY_NAME_BYTES]
