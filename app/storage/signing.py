"""Sign a head of the audit log with Ed25519, so that others can check with the public key alone who printed it."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature as WrongSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_PURPOSE = b"likeness audit head"


class InvalidSignature(ValueError):
    """A head cannot be read, or is not signed by a key that is known."""


@dataclass(frozen=True, slots=True)
class SignedHead:
    seq: int
    hash: str
    at: str
    public_key: str = ""
    signature: str = ""

    @classmethod
    def parse(cls, text: str) -> SignedHead:
        """Raises InvalidSignature if it is not the JSON that `likeness audit head` prints."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise InvalidSignature("expected a head that `likeness audit head` printed") from error


def sign_head(head: Mapping[str, Any], encryption_key: bytes) -> dict[str, str]:
    """Return the public key and the signature, in hexadecimal. The signing key follows from the encryption key."""
    private_key = _signing_key(encryption_key)
    return {
        "public_key": private_key.public_key().public_bytes_raw().hex(),
        "signature": private_key.sign(_message(head["seq"], head["hash"], head["at"])).hex(),
    }


def verify_signature(head: SignedHead, encryption_keys: Sequence[bytes], public_key: str | None) -> None:
    """Raises InvalidSignature unless the head is unsigned, or signed with one of the keys or with `public_key`."""
    if not head.signature and public_key is None:
        return
    known = [_signing_key(key).public_key().public_bytes_raw().hex() for key in encryption_keys]
    if head.public_key not in (known if public_key is None else [public_key]):
        raise InvalidSignature(f"expected a head signed by a key that is given, got the public key {head.public_key!r}")
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(head.public_key))
        key.verify(bytes.fromhex(head.signature), _message(head.seq, head.hash, head.at))
    except (ValueError, WrongSignature) as error:
        raise InvalidSignature("the signature is not that of this head") from error


def _signing_key(encryption_key: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hmac.digest(encryption_key, _PURPOSE, hashlib.sha256))


def _message(seq: int, last_hash: str, at: str) -> bytes:
    return json.dumps([_PURPOSE.decode(), seq, last_hash, at]).encode()
