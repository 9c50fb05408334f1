"""
API keys `lk_<id>_<secret>`: shown once, kept as a SHA-256, compared in constant time.

The secret has 256 random bits, so a fast hash is enough: there is no dictionary to try (OWASP asks for slow ones for
what people choose themselves). The prefix lets scanners for leaked secrets find a key.
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
from app.domain.clock import now, written
from app.domain.errors import InvalidRequest, NotFound, Unauthorized
from app.domain.identity import SYSTEM, Actor, Caller, Scope
from app.storage.sqlite import Database, Row

PREFIX = "lk"
_NOBODY = b"\0" * 32
_COLUMNS = "id, name, hash, scopes, galleries, rate, concurrent, created_at, expires_at, revoked_at"


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
        return self.revoked_at is None and (self.expires_at is None or moment < self.expires_at)

    def caller(self) -> Caller:
        galleries = None if self.galleries is None else frozenset(self.galleries)
        return Caller(f"key:{self.id}", frozenset(self.scopes), galleries, self.rate, self.concurrent)


class KeyStore:
    """Thread-safe. What another process creates or revokes holds at the next request."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: tuple[int, int] | None = None
        self._own_changes = 0
        self._known: dict[str, tuple[Key, bytes]] = {}

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
        """The key, and the text that its owner must keep: it is not to be had again."""
        if not scopes:
            raise InvalidRequest("want at least one scope")
        identifier, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        expires = written(datetime.now(UTC) + lifetime) if lifetime else None
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
            told = {"galleries": galleries, "expires_at": expires, "rate": rate, "concurrent": concurrent}
            audit.append(db, by, "key.create", "", key=key.id, scopes=[scope.value for scope in scopes], **told)
        self._own_changes += 1
        return key, f"{PREFIX}_{identifier}_{secret}"

    def revoke(self, identifier: str, by: Actor = SYSTEM) -> None:
        """Raises NotFound; a key that is revoked already stays so."""
        with self._database.writing() as db:
            if not db.execute("SELECT 1 FROM api_keys WHERE id = ?", (identifier,)).fetchone():
                raise NotFound(f"no key {identifier!r}")
            db.execute("UPDATE api_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (now(), identifier))
            audit.append(db, by, "key.revoke", "", key=identifier)
        self._own_changes += 1

    def all(self) -> list[Key]:
        """Oldest first; revoked and expired ones too."""
        self._follow()
        return sorted((key for key, _ in self._known.values()), key=lambda key: (key.created_at, key.id))

    def any(self) -> bool:
        """Whether there ever was a key."""
        self._follow()
        return bool(self._known)

    def caller(self, text: str) -> Caller:
        """Whose key `text` is. Raises Unauthorized, which does not tell a wrong key from an expired one."""
        self._follow()
        prefix, _, rest = text.partition("_")
        identifier, _, secret = rest.partition("_")
        key, kept = self._known.get(identifier, (None, _NOBODY))
        matches = hmac.compare_digest(_hash(secret), kept)
        if prefix != PREFIX or key is None or not matches or not key.is_active(now()):
            raise Unauthorized("this key is unknown, expired or revoked")
        return key.caller()

    def _follow(self) -> None:
        state = self._database.data_version(), self._own_changes  # before the rows: later changes are read again
        if state == self._seen:
            return
        with self._database.reading() as db:
            rows = db.execute(f"SELECT {_COLUMNS} FROM api_keys")
            self._known = {row["id"]: (_key(row), row["hash"]) for row in rows}
        self._seen = state


def _key(row: Row) -> Key:
    columns = dict(row)
    del columns["hash"]
    columns["scopes"] = tuple(Scope(scope) for scope in json.loads(row["scopes"]))
    columns["galleries"] = None if row["galleries"] is None else tuple(json.loads(row["galleries"]))
    return Key(**columns)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
