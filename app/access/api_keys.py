"""
API keys `lk_<id>_<secret>`: shown once, stored as a SHA-256, compared in constant time.

The secret has 256 random bits, so a fast hash is enough. A slow one, as OWASP recommends for passwords, protects
secrets that people choose and a dictionary attack can guess. The prefix lets scanners for leaked secrets find a key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.audit import log as audit
from app.domain.clock import format_time, now
from app.domain.errors import InvalidRequest, NotFound, Unauthorized
from app.domain.identity import SYSTEM, Actor, Caller, Scope
from app.storage.database import Database, Row

PREFIX = "lk"
_COLUMNS = "id, name, hash, scopes, galleries, rate, concurrent, created_at, expires_at, revoked_at"
_NO_HASH = b"\0" * 32  # compared for an unknown id too, so that the time does not reveal whether the id exists


@dataclass(frozen=True, slots=True)
class Key:
    id: str
    name: str
    scopes: Sequence[Scope]
    galleries: Sequence[str] | None
    rate: int | None
    concurrent: int | None
    created_at: str
    expires_at: str | None
    revoked_at: str | None

    def is_active(self, moment: str) -> bool:
        """Return whether the key is valid at `moment`, given as ISO 8601."""
        return self.revoked_at is None and (self.expires_at is None or moment < self.expires_at)

    def caller(self) -> Caller:
        galleries = None if self.galleries is None else frozenset(self.galleries)
        return Caller(f"key:{self.id}", frozenset(self.scopes), galleries, self.rate, self.concurrent)


class KeyStore:
    """
    The keys of a database. Thread-safe.

    A change made by another process applies to the next request; in PostgreSQL within a second.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._loaded_version: tuple[object, int] | None = None
        self._own_changes = 0
        self._keys_by_id: dict[str, tuple[Key, bytes]] = {}

    def create(
        self,
        scopes: Sequence[Scope],
        *,
        name: str = "",
        galleries: Sequence[str] | None = None,
        lifetime: timedelta | None = None,
        rate: int | None = None,
        concurrent: int | None = None,
        by: Actor = SYSTEM,
    ) -> tuple[Key, str]:
        """Return the new key and its text, which is not stored and cannot be shown again."""
        if not scopes:
            raise InvalidRequest("expected at least one scope")
        identifier, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        expires = format_time(datetime.now(UTC) + lifetime) if lifetime else None
        key = Key(identifier, name, tuple(scopes), galleries, rate, concurrent, now(), expires, None)
        row = (
            key.id,
            name,
            _hash(secret),
            json.dumps([scope.value for scope in scopes]),
            None if galleries is None else json.dumps([*galleries]),
            rate,
            concurrent,
            key.created_at,
            expires,
            None,
        )
        with self._database.writing() as db:
            db.execute(f"INSERT INTO api_keys ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            details = {"galleries": galleries, "expires_at": expires, "rate": rate, "concurrent": concurrent}
            audit.append(db, by, "key.create", "", key=key.id, scopes=[scope.value for scope in scopes], **details)
        self._own_changes += 1
        return key, f"{PREFIX}_{identifier}_{secret}"

    def revoke(self, identifier: str, by: Actor = SYSTEM) -> None:
        """Revoke a key; revoking it again changes nothing. Raises NotFound."""
        with self._database.writing() as db:
            if not db.execute("SELECT 1 FROM api_keys WHERE id = ?", (identifier,)).fetchone():
                raise NotFound(f"no key {identifier!r}")
            db.execute("UPDATE api_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (now(), identifier))
            audit.append(db, by, "key.revoke", "", key=identifier)
        self._own_changes += 1

    def all(self) -> list[Key]:
        """Return all keys, oldest first, including revoked and expired ones."""
        self._reload_if_changed()
        return sorted((key for key, _ in self._keys_by_id.values()), key=lambda key: (key.created_at, key.id))

    def has_keys(self) -> bool:
        """Return whether a key was ever created."""
        self._reload_if_changed()
        return bool(self._keys_by_id)

    def authenticate(self, text: str) -> Caller:
        """Return the caller that the key `text` belongs to. Raises Unauthorized, with one message for every reason."""
        self._reload_if_changed()
        prefix, _, rest = text.partition("_")
        identifier, _, secret = rest.partition("_")
        key, stored_hash = self._keys_by_id.get(identifier, (None, _NO_HASH))
        matches = hmac.compare_digest(_hash(secret), stored_hash)
        if prefix != PREFIX or key is None or not matches or not key.is_active(now()):
            raise Unauthorized("the key is unknown, expired or revoked")
        return key.caller()

    def _reload_if_changed(self) -> None:
        # read before the rows, so that a change in between is loaded the next time
        version = self._database.api_keys_version(), self._own_changes
        if version == self._loaded_version:
            return
        with self._database.reading() as db:
            rows = db.execute(f"SELECT {_COLUMNS} FROM api_keys")
            self._keys_by_id = {row["id"]: (_key(row), row["hash"]) for row in rows}
        self._loaded_version = version


def _key(row: Row) -> Key:
    columns = dict(row)
    del columns["hash"]
    columns["scopes"] = tuple(Scope(scope) for scope in json.loads(row["scopes"]))
    columns["galleries"] = None if row["galleries"] is None else tuple(json.loads(row["galleries"]))
    return Key(**columns)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
