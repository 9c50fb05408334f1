"""Who makes a request, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.domain.errors import MissingScope, OtherGalleries


class Scope(StrEnum):
    VERIFY = "verify"
    IDENTIFY = "identify"
    EMBED = "embed"
    ENROLL = "enroll"
    ERASE = "erase"
    EXPORT = "export"
    METRICS = "metrics"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Actor:
    """The author of a change, as the audit log names it, and the request that made it."""

    name: str
    request_id: str = ""


SYSTEM = Actor("system")


@dataclass(frozen=True, slots=True)
class Caller:
    """
    Who makes a request, with their rights and limits.

    `galleries` is None for all galleries; `rate` (requests per second) and `concurrent` are None for the limits of the
    service.
    """

    name: str
    scopes: frozenset[Scope]
    galleries: frozenset[str] | None = None
    rate: int | None = None
    concurrent: int | None = None

    def require(self, scope: Scope) -> None:
        """Raises MissingScope unless the caller has `scope`; `admin` includes every scope."""
        if not self.scopes & {scope, Scope.ADMIN}:
            raise MissingScope(f"expected a key with the scope {scope.value!r}")

    @property
    def is_admin(self) -> bool:
        return Scope.ADMIN in self.scopes

    @property
    def may_know_subjects(self) -> bool:
        """Return whether some route tells the caller which subjects exist."""
        return bool(self.scopes & {Scope.ENROLL, Scope.ERASE, Scope.EXPORT, Scope.ADMIN})

    def may_use(self, gallery_id: str) -> bool:
        return self.galleries is None or gallery_id in self.galleries

    def require_gallery(self, gallery_id: str) -> None:
        """Raises OtherGalleries, also if the gallery does not exist: a key must not reveal ids of other galleries."""
        if not self.may_use(gallery_id):
            raise OtherGalleries(f"this key has no access to the gallery {gallery_id!r}")

    def require_all_galleries(self) -> None:
        if self.galleries is not None:
            raise OtherGalleries("expected a key for all galleries, got one that is limited to some")


def anonymous(name: str) -> Caller:
    """Return the caller of a service that requires no key: everything is allowed."""
    return Caller(name, frozenset({Scope.ADMIN}))
